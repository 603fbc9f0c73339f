/** `turboquant vectors`: inputs that expose faults, for a fork to run over. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { fixtureNames, readFixture } from "../files/fixtures.js";
import { writeAtomic } from "../files/write-atomic.js";
import { findFormat } from "../formats/registry.js";
import { CASES, casesAt, HEAD_DIMS } from "../oracle/cases.js";
import { parseRecorded } from "../oracle/recorded/parse.js";
import { dims, integer } from "./options.js";
import { findCase, showFixture, showVector } from "./show-fixture.js";

const collect = (value: string, before: readonly string[]): string[] => [...before, value];

export function register(program: Command): void {
  const command = program.command("vectors").description("inputs chosen to expose faults");
  command
    .command("emit")
    .description("write inputs and a manifest; run the fork over them, then `turboquant verify DIR`")
    .argument("<dir>", "directory to fill")
    .requiredOption("-f, --format <name>", "format to verify later; may be repeated", collect, [])
    .option("-d, --dim <n,...>", "values per vector; default: every class that the formats take", dims)
    .addHelpText(
      "after",
      `
For each case CASE.f32 the fork writes CASE.FORMAT.bin (packed) and/or CASE.FORMAT.f32 (decoded), the slash of the
format's name written as a dash; the manifest says each case's dimension, and cases without files are not judged:
  $ turboquant vectors emit cases --format llama/turbo4
  $ ./fork < cases/gaussian.f32 > cases/gaussian.llama-turbo4.bin
  $ turboquant verify cases`,
    )
    .action(async (dir: string, { format, dim }: { format: string[]; dim?: number[] }) => {
      const found = format.map(findFormat);
      for (const one of dim ?? [])
        for (const f of found)
          if (!f.supports(one)) throw new RangeError(`"dim" expected ${f.dims} for ${f.name}, got ${one}`);
      const all = dim ?? HEAD_DIMS.filter((d) => found.some((f) => f.supports(d)));
      await mkdir(dir, { recursive: true });
      const cases = [];
      for (const { name, dim, exposes, make } of casesAt(all)) {
        const x = make(dim);
        await writeAtomic(join(dir, `${name}.f32`), [new Uint8Array(x.buffer)]);
        cases.push({ name, file: `${name}.f32`, dim, vectors: x.length / dim, exposes });
      }
      const manifest = `${JSON.stringify({ dim: all[0], formats: format, cases }, null, 2)}\n`;
      await writeAtomic(join(dir, "manifest.json"), [new TextEncoder().encode(manifest)]);
      process.stdout.write(`${cases.length} cases of dimension ${all.join(", ")} in ${dir}\n`);
    });
  command
    .command("show")
    .description("the cases and what each can expose, the vectors that ship, or what one file of them holds")
    .argument("[file]", "a fixture by name, or a path")
    .argument("[case]", "one of its cases")
    .option("--vector <n>", "which vector of the case", integer, 0)
    .option("--json", "everything, bytes as base64")
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant vectors show
  $ turboquant vectors show native/turbo3
  $ turboquant vectors show definition/turbo4 gaussian --vector 1
  $ turboquant vectors show digests --json`,
    )
    .action(async (file: string | undefined, name: string | undefined, options: ShowOptions) => {
      process.stdout.write(`${await shown(file, name, options)}\n`);
    });
}

interface ShowOptions {
  readonly vector: number;
  readonly json?: boolean;
}

async function shown(
  file: string | undefined,
  name: string | undefined,
  options: ShowOptions,
): Promise<string> {
  if (file === undefined) {
    const cases = CASES.map((c) => ({ name: c.name, vectors: c.make(128).length / 128, exposes: c.exposes }));
    const fixtures = await fixtureNames();
    if (options.json) return JSON.stringify({ cases, fixtures }, null, 2);
    const rows = cases.map(
      (c) => `${c.name.padEnd(18)} ${String(c.vectors).padStart(3)} vectors  ${c.exposes.join(", ")}`,
    );
    return ["inputs of `vectors emit`, at 128 values", ...rows, "", "vectors that ship", ...fixtures].join(
      "\n",
    );
  }
  const content = parseRecorded(await readFixture(file));
  const one = name === undefined ? undefined : findCase(content, name);
  if (options.json) return JSON.stringify(one ?? content, base64, 2);
  return one ? showVector(one, options.vector) : showFixture(content);
}

const base64 = (_key: string, value: unknown): unknown =>
  value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
