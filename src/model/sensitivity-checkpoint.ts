/** How far the measurement of single layers is, as a file: msgpack of { version, key, done, divergence: f64 bytes }. */
import { readFile } from "node:fs/promises";
import { decode, encode } from "@msgpack/msgpack";
import { FormatError } from "../core/format-error.js";
import { writeAtomic } from "../files/write-atomic.js";
import { evalKey } from "./eval-checkpoint.js";
import type { EvalPlan } from "./perplexity.js";

const VERSION = 1;

/** What the numbers depend on, and how many there are. */
export interface SensitivitySize {
  readonly plan: EvalPlan;
  readonly about: readonly (string | number)[];
  readonly layers: number;
  readonly pairs: number;
  readonly scored: number;
}

export interface SensitivityState {
  /** (layers, pairs, scored): divergence of each prediction, nats. */
  readonly divergence: Float64Array;
  /** Layers of chunks that are done, chunk by chunk. */
  readonly done: number;
}

const keyOf = ({ plan, about }: SensitivitySize): string => evalKey(plan, ["layer by layer"], about);

/** Writes the file, atomically. */
export async function saveSensitivity(
  path: string,
  size: SensitivitySize,
  { divergence, done }: SensitivityState,
): Promise<void> {
  const bytes = new Uint8Array(divergence.buffer, divergence.byteOffset, divergence.byteLength);
  await writeAtomic(path, [encode({ version: VERSION, key: keyOf(size), done, divergence: bytes })]);
}

/**
 * What the file holds; undefined where there is no file.
 * @throws FormatError BAD_FILE for a damaged file, or one of another measurement.
 */
export async function loadSensitivity(
  path: string,
  size: SensitivitySize,
): Promise<SensitivityState | undefined> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!bytes) return undefined;
  const bad = (what: string) => new FormatError("BAD_FILE", `${path}: ${what}`);
  let file: Partial<Record<"version" | "key" | "done" | "divergence", unknown>> | null;
  try {
    file = decode(bytes) as typeof file;
  } catch {
    throw bad("not a measurement's checkpoint");
  }
  if (file?.version !== VERSION) throw bad(`not a checkpoint of version ${VERSION}`);
  if (file.key !== keyOf(size))
    throw bad("the checkpoint of another measurement (model, text, plan or formats differ)");
  const { done, divergence } = file;
  const values = size.layers * size.pairs * size.scored;
  const most = size.layers * size.plan.chunks;
  if (!Number.isInteger(done) || (done as number) < 0 || (done as number) > most) throw bad("damaged");
  if (!(divergence instanceof Uint8Array) || divergence.length !== 8 * values) throw bad("damaged");
  return { divergence: new Float64Array(Uint8Array.from(divergence).buffer), done: done as number };
}
