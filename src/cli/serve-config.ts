/** `turboquant serve-config`: a llama-server command and an agent profile from a plan. */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { writeAtomic } from "../files/write-atomic.js";
import { planLevel } from "../plan/select-level.js";
import { agentProfile, agentProfileYaml, parseAgentProfile, serverCommand } from "../plan/server-config.js";
import { UsageError } from "./exit.js";
import { integer } from "./options.js";
import { type PlanOptions, requestFrom, withPlanOptions } from "./plan.js";

interface Options extends PlanOptions {
  readonly host: string;
  readonly port: number;
  readonly alias?: string;
  readonly command?: boolean;
  readonly output?: string;
  readonly validate?: string;
}

export function register(program: Command): void {
  withPlanOptions(
    program
      .command("serve-config")
      .description("an agent profile (YAML) and the llama-server command for it"),
  )
    .option("--host <address>", "address the server listens on", "127.0.0.1")
    .option("--port <n>", "port", integer, 8080)
    .option("--alias <name>", "model name in the profile (default: the model's own)")
    .option("--command", "print only the llama-server command")
    .option("-o, --output <file>", "write the profile here")
    .option("--validate <file>", "only check a profile that exists")
    .option("--json", "the profile as JSON")
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant serve-config --model model.gguf -c 32K -o agent.yaml
  $ turboquant serve-config --model model.gguf --command
  $ turboquant serve-config --validate agent.yaml`,
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  const print = (text: string): unknown => process.stdout.write(`${text}\n`);
  if (options.validate !== undefined) {
    const { primary } = parseAgentProfile(await readFile(options.validate, "utf8")).providers;
    print(`${options.validate}: a valid agent profile (${primary.endpoint}, ${primary.turboquant.kv_type})`);
    return;
  }
  if (options.port < 1 || options.port > 65_535)
    throw new UsageError(`--port expected 1..65535, got ${options.port}`);
  const plan = planLevel(await requestFrom(options));
  const { host, port, alias } = options;
  const modelPath = options.model?.endsWith(".gguf") ? options.model : "MODEL.gguf";
  const server = { modelPath, host, port, ...(alias === undefined ? {} : { alias }) };
  for (const warning of plan.warnings) process.stderr.write(`warning: ${warning}\n`);
  if (options.command) return void print(serverCommand(plan, server));
  const profile = agentProfile(plan, server);
  const text = options.json ? `${JSON.stringify(profile, null, 2)}\n` : agentProfileYaml(profile, plan);
  if (options.output === undefined) return void process.stdout.write(text);
  await writeAtomic(options.output, [new TextEncoder().encode(text)]);
  print(`wrote ${options.output}; start the server with`);
  print(serverCommand(plan, server));
}
