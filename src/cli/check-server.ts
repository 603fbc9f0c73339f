/** `turboquant check-server`: does a live OpenAI-compatible server do what an agent needs? */
import { type Command, InvalidArgumentError } from "commander";
import { checkPrompts, checkServer, type ServerCheck } from "../plan/check-server.js";
import { paint } from "./amounts.js";
import { CheckFailed } from "./exit.js";

interface Options {
  readonly url?: string;
  readonly apiKey?: string;
  readonly model?: string;
  readonly stream?: boolean;
  readonly prompts?: boolean;
  readonly modelsTimeout: number;
  readonly timeout: number;
  readonly json?: boolean;
}

function seconds(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 86_400) return value;
  throw new InvalidArgumentError(`expected seconds, got "${text}".`);
}

export function register(program: Command): void {
  program
    .command("check-server")
    .description("ask a live OpenAI-compatible server for its models and for tool calls")
    .option("--url <address>", "the server, e.g. http://127.0.0.1:8080 (default: $TURBOQUANT_SERVER_URL)")
    .option("--api-key <key>", "sent as a bearer token (default: $TURBOQUANT_SERVER_KEY)")
    .option("--model <name>", "model to ask for (default: the first that is listed)")
    .option("--stream", "ask for streamed answers")
    .option("--prompts", "also send the eleven fixed prompts and look at the answers (context 32K)")
    .option("--models-timeout <seconds>", "for the model list", seconds, 10)
    .option("--timeout <seconds>", "for each completion", seconds, 120)
    .option("--json", "for machines")
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant check-server --url http://127.0.0.1:8080
  $ TURBOQUANT_SERVER_URL=http://127.0.0.1:8080 turboquant check-server --stream --json

Without a server the check is skipped, which is no failure.`,
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  const url = options.url ?? (process.env.TURBOQUANT_SERVER_URL || undefined);
  if (url === undefined) {
    const detail = "no server given: --url or TURBOQUANT_SERVER_URL";
    const text = options.json
      ? JSON.stringify({ status: "skipped", detail, checks: [] })
      : `skipped: ${detail}`;
    process.stdout.write(`${text}\n`);
    return;
  }
  const apiKey = options.apiKey ?? process.env.TURBOQUANT_SERVER_KEY;
  const request = {
    url,
    stream: options.stream ?? false,
    modelsTimeoutMs: options.modelsTimeout * 1000,
    chatTimeoutMs: options.timeout * 1000,
    ...(options.model === undefined ? {} : { model: options.model }),
    ...(apiKey ? { apiKey } : {}),
  };
  const { checks, model } = await checkServer(request);
  if (options.prompts && model !== null) checks.push(...(await checkPrompts({ ...request, model })));
  const passed = checks.every((check) => check.status === "passed");
  const status = passed ? "passed" : "failed";
  if (options.json) process.stdout.write(`${JSON.stringify({ status, url, checks }, null, 2)}\n`);
  else for (const check of checks) process.stdout.write(`${line(check)}\n`);
  if (!passed) throw new CheckFailed();
}

function line({ name, status, detail, milliseconds }: ServerCheck): string {
  const colour = { passed: "green", failed: "red", skipped: "yellow" } as const;
  const time = status === "skipped" ? "" : ` (${(milliseconds / 1000).toFixed(1)} s)`;
  return `${paint(colour[status], status.padEnd(7))}  ${name}: ${detail}${time}`;
}
