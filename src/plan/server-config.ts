/** From a plan: the llama-server command and an agent profile in YAML. */
import { parse, stringify } from "yaml";
import { z } from "zod";
import { FormatError } from "../core/format-error.js";
import type { Plan } from "./select-level.js";
import { shellCommand } from "./shell.js";

/** What an agent must be able to rely on: the shape that the tool-call checks expect. */
export const agentProfileSchema = z.object({
  providers: z.object({
    primary: z.object({
      endpoint: z.string().regex(/^https?:\/\/[^\s]+$/, "expected an http(s) address"),
      api_path: z.string().includes("/chat/completions"),
      model: z.string().min(1),
      turboquant: z.object({
        enabled: z.boolean(),
        kv_type: z.enum(["turbo4", "turbo3", "turbo2", "q4_0"]),
        layer_mode: z.int().nonnegative(),
      }),
      context: z.object({ max_tokens: z.int().min(8192) }),
      server: z.object({
        command: z
          .string()
          .regex(/(^|\s)-ctk\s\S+/, "expected -ctk TYPE")
          .regex(/(^|\s)-ctv\s\S+/, "expected -ctv TYPE")
          .regex(/(^|\s)-c\s\d+/, "expected -c NUMBER"),
        env: z.object({ TURBO_LAYER_ADAPTIVE: z.string().regex(/^\d+$/) }).catchall(z.string()),
      }),
    }),
  }),
});
/** A server profile, as its schema says. */
export type AgentProfile = z.infer<typeof agentProfileSchema>;

export interface ServerOptions {
  /** File that llama-server loads. */
  readonly modelPath: string;
  readonly host?: string;
  readonly port?: number;
  /** Name that clients ask for. Default: the model's. */
  readonly alias?: string;
}

/** The words of the llama-server command, without the environment. */
export function serverWords(plan: Plan, options: ServerOptions): string[] {
  const { modelPath, host = "127.0.0.1", port = 8080 } = options;
  const words = ["llama-server", "-m", modelPath, ...plan.serverFlags, "-fa", "on", "--jinja"];
  return [...words, "--host", host, "--port", String(port)];
}

/** One line for a POSIX shell, environment first. */
export const serverCommand = (plan: Plan, options: ServerOptions): string =>
  shellCommand(plan.env, serverWords(plan, options));

/** @throws RangeError for a context below 8,192 tokens: tool definitions and answers do not fit in less. */
export function agentProfile(plan: Plan, options: ServerOptions): AgentProfile {
  if (plan.context < 8192)
    throw new RangeError(`"context" expected 8192 or more for an agent, got ${plan.context}`);
  const { host = "127.0.0.1", port = 8080 } = options;
  return agentProfileSchema.parse({
    providers: {
      primary: {
        endpoint: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
        api_path: "/v1/chat/completions",
        model: options.alias ?? plan.model.name,
        turboquant: {
          enabled: !plan.chosen.level.fallback,
          kv_type: plan.chosen.level.kvType,
          layer_mode: plan.chosen.level.layerMode,
        },
        context: { max_tokens: plan.context },
        server: { command: shellCommand({}, serverWords(plan, options)), env: plan.env },
      },
    },
  });
}

/** The profile as YAML, with the plan's reason on top. */
export function agentProfileYaml(profile: AgentProfile, plan: Plan): string {
  const comments = [plan.reason, ...plan.warnings.map((warning) => `WARNING: ${warning}`)];
  return `${comments.map((line) => `# ${line}\n`).join("")}${stringify(profile, { lineWidth: 0 })}`;
}

/** Reads a profile back. @throws FormatError("BAD_FILE") naming the field. */
export function parseAgentProfile(text: string): AgentProfile {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new FormatError("BAD_FILE", `not YAML: ${(error as Error).message.split("\n")[0]}`);
  }
  const parsed = agentProfileSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new FormatError("BAD_FILE", `not an agent profile: ${path.join(".") || "top level"}: ${message}`);
}
