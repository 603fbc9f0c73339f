/**
 * A recording: keys, values and queries of some layers of a real model, from safetensors.
 *
 *   layers.N.key, layers.N.value   (kvHeads, tokens, dim)
 *   layers.N.query                 (heads, queries, dim), of the last `queries` tokens
 *
 * f16, bf16 or f32. Query t of the last `queries` tokens sees tokens 0 … tokens − queries + t; query head h reads
 * key/value head ⌊h · kvHeads / heads⌋; scores are q·k/√dim.
 */
import { FormatError } from "../core/format-error.js";
import { readSafetensors, type SafetensorsTensor, tensorToF32 } from "../files/safetensors.js";

export interface RecordedLayer {
  readonly layer: number;
  /** (kvHeads, tokens, dim) */
  readonly key: Float32Array;
  readonly value: Float32Array;
  /** (heads, queries, dim) */
  readonly query: Float32Array;
}

export interface Recording {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly dim: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly tokens: number;
  readonly queries: number;
  readonly layers: readonly RecordedLayer[];
}

/** @throws FormatError BAD_FILE that names the tensor, what was expected and what came. */
export async function readRecording(path: string): Promise<Recording> {
  const { metadata, tensors } = await readSafetensors(path);
  const numbers = [...tensors.keys()]
    .flatMap((name) => /^layers\.(\d+)\.key$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
  if (numbers.length === 0)
    throw new FormatError(
      "BAD_FILE",
      `${path}: expected tensors layers.N.key, .value and .query, found none`,
    );
  const first = shapeOf(tensors, `layers.${numbers[0]}.key`, path);
  const [kvHeads, tokens, dim] = first;
  const [heads, queries] = shapeOf(tensors, `layers.${numbers[0]}.query`, path);
  if (heads % kvHeads !== 0 || queries > tokens)
    throw new FormatError(
      "BAD_FILE",
      `${path}: expected heads a multiple of ${kvHeads} and at most ${tokens} queries, got ${heads} and ${queries}`,
    );
  const layers = numbers.map((layer): RecordedLayer => {
    const take = (part: string, shape: readonly number[]): Float32Array => {
      const name = `layers.${layer}.${part}`;
      const got = shapeOf(tensors, name, path);
      if (got.some((n, i) => n !== shape[i]))
        throw new FormatError("BAD_FILE", `${path}: ${name} expected shape [${shape}], got [${got}]`);
      const values = tensorToF32(tensors.get(name)!);
      if (!values.every(Number.isFinite))
        throw new FormatError("NON_FINITE", `${path}: ${name} has values that are not finite`);
      return values;
    };
    return {
      layer,
      key: take("key", first),
      value: take("value", first),
      query: take("query", [heads, queries, dim]),
    };
  });
  return { path, metadata, dim, heads, kvHeads, tokens, queries, layers };
}

function shapeOf(
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  name: string,
  path: string,
): readonly [number, number, number] {
  const tensor = tensors.get(name);
  if (!tensor) throw new FormatError("BAD_FILE", `${path}: expected a tensor ${name}, found none`);
  const { shape } = tensor;
  if (shape.length !== 3 || shape.some((n) => n < 1))
    throw new FormatError("BAD_FILE", `${path}: ${name} expected three axes, got [${shape}]`);
  return [shape[0]!, shape[1]!, shape[2]!];
}
