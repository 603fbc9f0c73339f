/** Replays the native vectors that ship with the package: do our formats still write what the engines wrote? */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseRecorded } from "../oracle/recorded/parse.js";
import { judgeRecorded } from "../oracle/recorded/recorded.js";

export interface NativeCheck {
  /** File names without extension. */
  readonly types: readonly string[];
  readonly cases: number;
  readonly mismatches: number;
  readonly first: string | null;
}

/** Recordings of whole attention are judged by the cache's tests, not here. */
const ATTENTION = "attention.msgpack";

export async function checkNativeVectors(folder: string): Promise<NativeCheck> {
  const files = (await readdir(folder)).filter((f) => f.endsWith(".msgpack") && f !== ATTENTION).sort();
  let cases = 0;
  let mismatches = 0;
  let first: string | null = null;
  for (const file of files) {
    const verdict = judgeRecorded(parseRecorded(new Uint8Array(await readFile(join(folder, file)))));
    cases += verdict.cases;
    mismatches += verdict.mismatches;
    first ??= verdict.first ? `${file}: ${verdict.first}` : null;
  }
  return { types: files.map((f) => f.replace(".msgpack", "")), cases, mismatches, first };
}
