/** The OpenAI shapes that a server has to answer with: model list, completion, streamed completion. */
import { createParser } from "eventsource-parser";
import { z } from "zod";

export const modelList = z.object({
  data: z.array(z.object({ id: z.string().min(1) })).min(1, "no model is loaded"),
});

export const toolCall = z.object({
  id: z.string().min(1),
  type: z.literal("function"),
  function: z.object({ name: z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/), arguments: z.string() }),
});

export const completion = z.object({
  choices: z
    .array(
      z.object({
        finish_reason: z.string().nullish(),
        message: z.object({
          role: z.literal("assistant"),
          content: z.string().nullish(),
          reasoning_content: z.string().nullish(),
          tool_calls: z.array(toolCall).nullish(),
        }),
      }),
    )
    .min(1, "no choice in the answer"),
});
export type Completion = z.infer<typeof completion>;

const chunk = z.object({
  choices: z.array(
    z.object({
      index: z.int().nonnegative().default(0),
      finish_reason: z.string().nullish(),
      delta: z
        .object({
          role: z.string().nullish(),
          content: z.string().nullish(),
          reasoning_content: z.string().nullish(),
          tool_calls: z
            .array(
              z.object({
                index: z.int().nonnegative().default(0),
                id: z.string().nullish(),
                type: z.string().nullish(),
                function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
              }),
            )
            .nullish(),
        })
        .nullish(),
    }),
  ),
});

/** The first thing wrong with a value, as "path: what"; null when the shape is right. */
export function shapeFault(schema: z.ZodType, value: unknown): string | null {
  const parsed = schema.safeParse(value);
  if (parsed.success) return null;
  const { path, message } = parsed.error.issues[0]!;
  return `${path.join(".") || "answer"}: ${message}`;
}

/**
 * Puts a streamed answer together: the first choice's text and tool calls.
 * @throws Error saying what is wrong: an event that is no JSON or no chunk, an error event, no "[DONE]" at the end.
 */
export function assembleStream(text: string): Completion {
  const events: string[] = [];
  const parser = createParser({ onEvent: (event) => void events.push(event.data) });
  parser.feed(text.endsWith("\n\n") ? text : `${text}\n\n`);
  if (events.length === 0) throw new Error("the stream has no event");
  if (events.at(-1) !== "[DONE]") throw new Error('the stream ends without "[DONE]"');
  const message = { content: "", reasoning: "", calls: [] as { id: string; name: string; args: string }[] };
  let finish: string | null = null;
  for (const data of events.slice(0, -1)) {
    const value = json(data);
    const failure = (value as { error?: { message?: unknown } } | null)?.error;
    if (failure)
      throw new Error(`error in the stream: ${String(failure.message ?? JSON.stringify(failure))}`);
    const parsed = chunk.safeParse(value);
    if (!parsed.success) throw new Error(`stream chunk: ${shapeFault(chunk, value)}`);
    const choice = parsed.data.choices.find((entry) => entry.index === 0);
    if (!choice) continue; // llama-server's last chunk holds only the usage
    finish = choice.finish_reason ?? finish;
    message.content += choice.delta?.content ?? "";
    message.reasoning += choice.delta?.reasoning_content ?? "";
    for (const part of choice.delta?.tool_calls ?? []) {
      const call = (message.calls[part.index] ??= { id: "", name: "", args: "" });
      call.id ||= part.id ?? "";
      call.name += part.function?.name ?? "";
      call.args += part.function?.arguments ?? "";
    }
  }
  return {
    choices: [
      {
        finish_reason: finish,
        message: {
          role: "assistant",
          content: message.content,
          reasoning_content: message.reasoning,
          tool_calls: message.calls
            .filter(Boolean)
            .map(({ id, name, args }) => ({ id, type: "function", function: { name, arguments: args } })),
        },
      },
    ],
  };
}

function json(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    throw new Error(`stream event is not JSON: ${data.slice(0, 80)}`);
  }
}
