/** Replays the native vectors that ship with the package: do our formats still write what the engines wrote? */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { judgeNativeAttention } from "../oracle/recorded/attention-file.js";
import { parseRecorded } from "../oracle/recorded/parse.js";
import { judgeRecorded } from "../oracle/recorded/recorded.js";

export interface NativeCheck {
  /** File names without extension. */
  readonly types: readonly string[];
  readonly cases: number;
  readonly mismatches: number;
  readonly first: string | null;
}

export async function checkNativeVectors(folder: string): Promise<NativeCheck> {
  const files = (await readdir(folder)).filter((f) => f.endsWith(".msgpack")).sort();
  let cases = 0;
  let mismatches = 0;
  let first: string | null = null;
  for (const file of files) {
    const recorded = parseRecorded(new Uint8Array(await readFile(join(folder, file))));
    const verdict = judgeRecorded(recorded, { attention: judgeNativeAttention });
    cases += verdict.cases;
    mismatches += verdict.mismatches;
    first ??= verdict.first ? `${file}: ${verdict.first}` : null;
  }
  return { types: files.map((f) => f.replace(".msgpack", "")), cases, mismatches, first };
}
