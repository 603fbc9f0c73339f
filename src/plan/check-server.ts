/**
 * Asks a live OpenAI-compatible server whether an agent can work with it: the model list, then completions with
 * tools. Every request has a time-out that covers the whole answer; every failure says what came instead.
 */
import { assembleStream, type Completion, completion, modelList, shapeFault } from "./chat-answer.js";
import { PROMPTS } from "./prompts.js";
import { callFault, EXECUTE_CODE, READ_FILE, type ToolSchema, WEB_SEARCH } from "./tools.js";

/** What a server answered, check by check. */
export interface ServerCheck {
  readonly name: string;
  readonly status: "passed" | "failed" | "skipped";
  /** What was answered, or what went wrong. */
  readonly detail: string;
  readonly milliseconds: number;
}

/** What `checkServer` asks, and of whom. */
export interface CheckOptions {
  /** Base address, with or without a trailing "/v1". */
  readonly url: string;
  readonly apiKey?: string;
  /** Default: the first that the server lists. */
  readonly model?: string;
  /** Ask for streamed answers. Default false. */
  readonly stream?: boolean;
  readonly modelsTimeoutMs?: number;
  readonly chatTimeoutMs?: number;
  /** Replaces the global fetch, for tests. */
  readonly fetch?: typeof fetch;
}

/** No answer is longer than this; a server that sends without end fails. */
const MOST_BYTES = 8 << 20;

interface Session extends CheckOptions {
  readonly base: string;
}

/** Checks in order; those that need a model are skipped when none is listed. Never rejects for what a server does. */
export async function checkServer(
  options: CheckOptions,
): Promise<{ checks: ServerCheck[]; model: string | null }> {
  const session: Session = { ...options, base: baseOf(options.url) };
  const checks: ServerCheck[] = [];
  let model = options.model ?? "";
  const models = await timed("models", async () => {
    const value = await jsonAnswer(session, "/v1/models", null, options.modelsTimeoutMs ?? 10_000);
    const fault = shapeFault(modelList, value);
    if (fault) throw new Error(`wrong shape: ${fault}`);
    const ids = modelList.parse(value).data.map((entry) => entry.id);
    model ||= ids[0]!;
    return ids.length === 1 ? ids[0]! : `${ids.length} models, first ${ids[0]}`;
  });
  checks.push(models);
  for (const request of CHAT_CHECKS) {
    if (model === "")
      checks.push({ name: request.name, status: "skipped", detail: "no model is known", milliseconds: 0 });
    else checks.push(await timed(request.name, () => chatCheck(session, model, request)));
  }
  return { checks, model: model || null };
}

/** Sends the fixed prompts and compares each last answer with its pattern. Long ones need a context of 32K. */
export async function checkPrompts(options: CheckOptions & { model: string }): Promise<ServerCheck[]> {
  const session: Session = { ...options, base: baseOf(options.url) };
  const checks: ServerCheck[] = [];
  for (const { category, turns, expected } of PROMPTS)
    checks.push(
      await timed(`prompt: ${category}`, async () => {
        const messages: { role: string; content: string }[] = [];
        for (const content of turns) {
          messages.push({ role: "user", content });
          const answer = await chat(session, { model: options.model, messages, max_tokens: 1024 });
          messages.push({ role: "assistant", content: answer.choices[0]!.message.content ?? "" });
        }
        const text = messages.at(-1)!.content;
        if (!expected.pattern.test(text))
          throw new Error(`expected ${expected.description}, got: ${shorten(text) || "(no text)"}`);
        return expected.description;
      }),
    );
  return checks;
}

const shorten = (text: string): string => text.trim().replace(/\s+/g, " ").slice(0, 80);

/** One completion, its shape checked. */
async function chat(session: Session, request: object): Promise<Completion> {
  const body = { ...request, temperature: 0, stream: session.stream ?? false };
  const value = await jsonAnswer(session, "/v1/chat/completions", body, session.chatTimeoutMs ?? 120_000);
  const fault = shapeFault(completion, value);
  if (fault) throw new Error(`wrong shape: ${fault}`);
  return completion.parse(value);
}

interface ChatCheck {
  readonly name: string;
  readonly prompt: string;
  readonly tools: readonly ToolSchema[];
  readonly expects: (answer: Completion) => string | null;
}

const CHAT_CHECKS: readonly ChatCheck[] = [
  {
    name: "tool call: read_file",
    prompt: "Read the file at /etc/hostname and tell me what it says.",
    tools: [READ_FILE],
    expects: ({ choices }) => {
      const { content, reasoning_content, tool_calls } = choices[0]!.message;
      if (tool_calls?.some((call) => call.function.name === "read_file")) return null;
      return `${content ?? ""}${reasoning_content ?? ""}`.trim() === ""
        ? "neither a call of read_file nor text"
        : null;
    },
  },
  {
    name: "tool call: three tools",
    prompt: "Search the web for the release date of the first WebAssembly specification.",
    tools: [READ_FILE, WEB_SEARCH, EXECUTE_CODE],
    expects: () => null,
  },
];

async function chatCheck(session: Session, model: string, request: ChatCheck): Promise<string> {
  const answer = await chat(session, {
    model,
    messages: [{ role: "user", content: request.prompt }],
    tools: request.tools,
    tool_choice: "auto",
    max_tokens: 512,
  });
  const { content, tool_calls } = answer.choices[0]!.message;
  for (const { function: call } of tool_calls ?? []) {
    const wrong = callFault(call.name, call.arguments, request.tools);
    if (wrong) throw new Error(wrong);
  }
  const unexpected = request.expects(answer);
  if (unexpected) throw new Error(unexpected);
  if (tool_calls?.length)
    return tool_calls
      .map(({ function: call }) => `${call.name}(${call.arguments})`)
      .join(", ")
      .slice(0, 200);
  return `text: ${shorten(content ?? "")}`;
}

/** @throws RangeError when it is no http(s) address. */
function baseOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (!parsed || !/^https?:$/.test(parsed.protocol))
    throw new RangeError(`"url" expected an http(s) address, got "${url}"`);
  return `${parsed.origin}${parsed.pathname}`.replace(/\/+$/, "").replace(/\/v1(\/chat\/completions)?$/, "");
}

async function timed(name: string, run: () => Promise<string>): Promise<ServerCheck> {
  const start = performance.now();
  const done = (status: ServerCheck["status"], detail: string): ServerCheck => ({
    name,
    status,
    detail,
    milliseconds: Math.round(performance.now() - start),
  });
  try {
    return done("passed", await run());
  } catch (error) {
    return done("failed", (error as Error).message);
  }
}

/** Body null: GET. The value of a JSON answer or of an assembled stream. @throws Error with a sentence for people. */
async function jsonAnswer(
  session: Session,
  path: string,
  body: object | null,
  timeoutMs: number,
): Promise<unknown> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (body) headers["content-type"] = "application/json";
  if (session.apiKey) headers.authorization = `Bearer ${session.apiKey}`;
  const signal = AbortSignal.timeout(timeoutMs);
  let response: Response;
  let text: string;
  let received = false;
  try {
    response = await (session.fetch ?? fetch)(`${session.base}${path}`, {
      method: body ? "POST" : "GET",
      headers,
      signal,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    received = true;
    text = await readText(response);
  } catch (error) {
    if (signal.aborted)
      throw new Error(`no ${received ? "complete " : ""}answer within ${timeoutMs / 1000} s`);
    throw new Error(connectionFault(error, received));
  }
  if (response.status !== 200) throw new Error(`status ${response.status}${errorMessage(text)}`);
  const streamed = (response.headers.get("content-type") ?? "").includes("text/event-stream");
  if (streamed) return assembleStream(text);
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`the answer is not JSON: ${text.slice(0, 80).replace(/\s+/g, " ") || "(empty)"}`);
  }
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
    bytes += part.value.length;
    if (bytes > MOST_BYTES) {
      await reader?.cancel();
      throw new Error(`the answer is longer than ${MOST_BYTES >> 20} MiB`);
    }
    text += decoder.decode(part.value, { stream: true });
  }
  return text + decoder.decode();
}

function connectionFault(error: unknown, received: boolean): string {
  const { message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  if (/longer than/.test(message)) return message;
  const why = cause?.code ?? cause?.message ?? message;
  if (why === "ECONNREFUSED") return "connection refused: is the server running at this address?";
  return received ? `the connection was dropped in the middle of the answer (${why})` : `no answer (${why})`;
}

/** ": what the server says", from an OpenAI error body if there is one. */
function errorMessage(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: string } | string };
    const said = typeof error === "string" ? error : error?.message;
    if (said) return `: ${said}`;
  } catch {
    // not JSON: the raw text follows
  }
  const raw = text.trim().replace(/\s+/g, " ").slice(0, 120);
  return raw === "" ? "" : `: ${raw}`;
}
