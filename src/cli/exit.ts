/**
 * Exit codes: 0 done, 1 bad data or a failed check, 2 wrong usage. An error is one line on standard error; a
 * closed pipe (`| head`) ends the program quietly.
 */
import { type Command, CommanderError } from "commander";
import { FormatError } from "../core/format-error.js";

/** A command that ran and whose answer is "no": exit 1, the answer has been printed already. */
export class CheckFailed extends Error {}

/** Wrong use of an option that the parser cannot see: exit 2. */
export class UsageError extends Error {}

export async function run(program: Command, argv: readonly string[]): Promise<void> {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? 0 : 1);
  });
  for (const command of withSubcommands(program)) {
    command.exitOverride();
    // The parser puts "(Did you mean …?)" on a second line.
    const see = ` (see ${nameOf(command)} --help)`;
    command.configureOutput({
      outputError: (text, write) => write(oneLine(text.trim().replace(/\n/g, " "), see)),
    });
  }
  try {
    await program.parseAsync(argv as string[]);
  } catch (error) {
    process.exitCode = exitCode(error, program.commands.find((c) => c.name() === argv[2]) ?? program);
  }
}

/** command: the one that ran. */
function exitCode(error: unknown, command: Command): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // already printed
  if (error instanceof CheckFailed) return 1;
  const message = error instanceof Error ? error.message : String(error);
  // A message that says what to do needs no more.
  const see =
    error instanceof UsageError && !message.includes("npm install") ? ` (see ${nameOf(command)} --help)` : "";
  process.stderr.write(oneLine(`error: ${message}`, see));
  const unknownFormat = error instanceof FormatError && error.code === "UNKNOWN_FORMAT";
  const wrongArgument = error instanceof RangeError || error instanceof TypeError;
  return error instanceof UsageError || unknownFormat || wrongArgument ? 2 : 1;
}

const oneLine = (text: string, end = ""): string => `${text.trim().split("\n")[0]}${end}\n`;

/** With the commands that it belongs to: turboquant verify trace. */
const nameOf = (command: Command): string =>
  command.parent ? `${nameOf(command.parent as Command)} ${command.name()}` : command.name();

const withSubcommands = (command: Command): Command[] => [
  command,
  ...command.commands.flatMap((sub) => withSubcommands(sub as Command)),
];
