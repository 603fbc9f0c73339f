/**
 * What an evaluation has so far, as a file: after a stop it goes on with the next chunk. msgpack of
 *
 *   { version, key, chunks, baseline: scores, contenders: { name: scores } }
 *
 * scores: { logProb, divergence: f64 little-endian, sameTop: bytes }, of all chunks (zeros for those to come). The
 * key is a digest of all that the numbers depend on; a file with another key is not gone on with.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { decode, encode } from "@msgpack/msgpack";
import { FormatError } from "../core/format-error.js";
import { writeAtomic } from "../files/write-atomic.js";
import { type EvalPlan, type EvalState, emptyState, type Scores } from "./perplexity.js";

const VERSION = 2;

/** Digest of the evaluation: plan, contenders and whatever else `about` says (model, options). */
export function evalKey(
  plan: EvalPlan,
  names: readonly string[],
  about: readonly (string | number)[],
): string {
  const { tokens, context, chunks, scoredFrom, bos } = plan;
  const said = JSON.stringify([VERSION, context, chunks, scoredFrom ?? null, bos ?? null, names, about]);
  const bytes = new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
  return createHash("sha256").update(said).update(bytes).digest("hex");
}

const bytesOf = (values: Float64Array | Uint8Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
const packed = ({ logProb, divergence, sameTop }: Scores) => ({
  logProb: bytesOf(logProb),
  divergence: bytesOf(divergence),
  sameTop,
});

/** Writes the file, atomically. */
export async function saveEval(path: string, key: string, state: EvalState): Promise<void> {
  const contenders = Object.fromEntries(
    [...state.contenders].map(([name, scores]) => [name, packed(scores)]),
  );
  const { chunks } = state;
  await writeAtomic(path, [
    encode({ version: VERSION, key, chunks, baseline: packed(state.baseline), contenders }),
  ]);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * What the file holds for this plan; undefined where there is no file.
 * @throws FormatError BAD_FILE for a damaged file, or one of another evaluation.
 */
export async function loadEval(
  path: string,
  key: string,
  plan: EvalPlan,
  names: readonly string[],
): Promise<EvalState | undefined> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!bytes) return undefined;
  const bad = (what: string) => new FormatError("BAD_FILE", `${path}: ${what}`);
  let file: unknown;
  try {
    file = decode(bytes);
  } catch {
    throw bad("not an evaluation's checkpoint");
  }
  if (!isRecord(file) || file.version !== VERSION) throw bad(`not a checkpoint of version ${VERSION}`);
  if (file.key !== key)
    throw bad("the checkpoint of another evaluation (model, text, plan or caches differ)");
  const { chunks, contenders } = file;
  if (
    !Number.isInteger(chunks) ||
    (chunks as number) < 0 ||
    (chunks as number) > plan.chunks ||
    !isRecord(contenders)
  )
    throw bad("damaged");
  const state = emptyState(plan, names);
  const fill = (to: Scores, from: unknown) => {
    for (const field of ["logProb", "divergence", "sameTop"] as const) {
      const values = isRecord(from) ? from[field] : undefined;
      if (!(values instanceof Uint8Array) || values.length !== to[field].byteLength) throw bad("damaged");
      bytesOf(to[field]).set(values);
    }
  };
  fill(state.baseline, file.baseline);
  for (const [name, scores] of state.contenders) fill(scores, contenders[name]);
  state.chunks = chunks as number;
  return state;
}
