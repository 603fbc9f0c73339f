/** `turboquant selftest`: replays recorded native vectors and says whether every byte and value holds. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { computePrefixHash } from "../compat/realizar/prefix.js";
import { judgeRealizarTraces } from "../compat/realizar/trace.js";
import { FormatError } from "../core/format-error.js";
import { NATIVE_VECTORS } from "../files/fixtures.js";
import { judgeNativeAttention } from "../oracle/recorded/attention-file.js";
import { parseRecorded } from "../oracle/recorded/parse.js";
import { type Finding, judgeRecorded, type RecordedVerdict } from "../oracle/recorded/recorded.js";
import { CheckFailed } from "./exit.js";
import { Progress } from "./progress.js";

interface FileVerdict {
  readonly file: string;
  readonly cases: number;
  readonly mismatches: number;
  /** The first difference, or null. */
  readonly first: string | null;
  /** Faults of what was recorded, though it is reproduced. */
  readonly findings: readonly Finding[];
}

export function register(program: Command): void {
  program
    .command("selftest")
    .description(
      "replay recorded native vectors (.json or .msgpack): cases, mismatches, the first difference",
    )
    .argument(
      "[path...]",
      "files, or folders of them; one that cannot be judged is an error, never a pass; default: the vectors that ship with the package",
    )
    .option("--json", "[{ file, cases, mismatches, first, findings }]")
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant selftest
  $ turboquant selftest fixtures/native
  $ turboquant selftest native-turbo4.json --json`,
    )
    .action(async (given: string[], { json }: { json?: boolean }) => {
      const paths = (await Promise.all((given.length > 0 ? given : [NATIVE_VECTORS]).map(filesOf))).flat();
      const progress = new Progress();
      const verdicts: FileVerdict[] = [];
      try {
        for (const [i, file] of paths.entries()) {
          progress.update(i, paths.length, file);
          const { cases, mismatches, first, findings = [] } = await judge(file);
          verdicts.push({ file, cases, mismatches, first: first ?? null, findings });
        }
      } finally {
        progress.clear();
      }
      process.stdout.write(json ? `${JSON.stringify(verdicts, null, 2)}\n` : text(verdicts));
      if (verdicts.some((v) => v.mismatches > 0)) throw new CheckFailed();
    });
}

/** A folder's recordings in the order of their names; a file is itself. */
async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const files = (await readdir(path)).filter((name) => /\.(json|msgpack)$/.test(name)).sort();
  if (files.length === 0)
    throw new FormatError("BAD_FILE", `${path}: expected .json or .msgpack files, found none`);
  return files.map((name) => join(path, name));
}

async function judge(file: string): Promise<RecordedVerdict> {
  const bytes = new Uint8Array(await readFile(file));
  try {
    return judgeRecorded(parseRecorded(bytes), {
      traces: judgeRealizarTraces,
      prefixHash: computePrefixHash,
      attention: judgeNativeAttention,
    });
  } catch (error) {
    if (error instanceof FormatError) throw new FormatError(error.code, `${file}: ${error.message}`);
    throw error;
  }
}

function text(verdicts: readonly FileVerdict[]): string {
  const width = Math.max(...verdicts.map((v) => v.file.length));
  const lines = verdicts.map(({ file, cases, mismatches, first, findings }) => {
    const counts = `${String(cases).padStart(6)} cases  ${String(mismatches).padStart(4)} mismatches`;
    const found = findings.map((f) => `\n  ${f.id}: ${f.evidence}`).join("");
    return `${file.padEnd(width)}  ${counts}${first ? `\n  first: ${first}` : ""}${found}`;
  });
  const wrong = verdicts.reduce((sum, v) => sum + v.mismatches, 0);
  const cases = verdicts.reduce((sum, v) => sum + v.cases, 0);
  return `${lines.join("\n")}\n${cases} cases, ${wrong} mismatches\n`;
}
