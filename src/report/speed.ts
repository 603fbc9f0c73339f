/**
 * Time to encode a vector and to score a key, in the WASM backend, with ratios to plain f32 in the same process:
 * rounds are interleaved and the least of them counts (other processes only ever add time).
 */
import { createCodec } from "../formats/codec.js";
import { OwnCodec } from "../formats/own-codec.js";
import { findFormat } from "../formats/registry.js";
import type { Kernels } from "../kernels/kernels.js";
import type { Recording } from "./recording.js";

export interface Speed {
  /** ns to encode one vector. */
  readonly encodeNs: number;
  /** ns for one query against one key. */
  readonly scoreNs: number;
  /** encodeNs over copying an f32 vector; scoreNs over the SIMD dot product with an f32 key. */
  readonly encodeRatio: number;
  readonly scoreRatio: number;
  /** What computed the scores: a SIMD kernel on the packed bytes, or decode-then-dot in TypeScript. */
  readonly path: "packed" | "decoded";
}

const ROUNDS = 9;
/** Keys that are scored: enough to measure, few enough to stay in cache. */
const KEYS = 2048;

interface Work {
  readonly encode: () => void;
  readonly score: () => void;
  readonly path: Speed["path"];
  encodeNs: number;
  scoreNs: number;
}

/** Speed of each format's key side on recorded keys. Formats in, same order out. */
export function measureSpeed(recording: Recording, formats: readonly string[], kernels: Kernels): Speed[] {
  const { dim } = recording;
  const keys = tiled(
    recording.layers.map((layer) => layer.key),
    KEYS * dim,
  );
  const query = recording.layers[0]!.query.slice(0, dim);
  const baseline = plainWork(keys, query, dim, kernels);
  const works = formats.map((format) =>
    format === "f32" ? baseline : workOf(format, keys, query, dim, kernels),
  );
  const all = works.includes(baseline) ? works : [baseline, ...works];
  for (let round = 0; round < ROUNDS; round++) {
    for (const work of all) {
      work.encodeNs = Math.min(work.encodeNs, elapsed(work.encode) / KEYS);
      work.scoreNs = Math.min(work.scoreNs, elapsed(work.score) / KEYS);
    }
  }
  return works.map(({ encodeNs, scoreNs, path }) => ({
    encodeNs,
    scoreNs,
    encodeRatio: encodeNs / baseline.encodeNs,
    scoreRatio: scoreNs / baseline.scoreNs,
    path,
  }));
}

function tiled(parts: readonly Float32Array[], length: number): Float32Array {
  const all = new Float32Array(length);
  for (let at = 0, i = 0; at < length; i++) {
    const part = parts[i % parts.length]!.subarray(0, length - at);
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const elapsed = (run: () => void): number => {
  const start = performance.now();
  run();
  return (performance.now() - start) * 1e6;
};

/** f32 keys and the SIMD dot product: what everything is compared with. */
function plainWork(keys: Float32Array, query: Float32Array, dim: number, kernels: Kernels): Work {
  const { arena } = kernels;
  const at = arena.allocate(4 * keys.length);
  const q = arena.allocate(4 * dim);
  const out = arena.allocate(4 * KEYS);
  arena.f32.set(query, q >>> 2);
  arena.f32.set(keys, at >>> 2);
  return {
    encode: () => arena.f32.set(keys, at >>> 2),
    score: () => kernels.dotF32(q, at, KEYS, dim, out),
    path: "packed",
    encodeNs: Number.POSITIVE_INFINITY,
    scoreNs: Number.POSITIVE_INFINITY,
  };
}

/** f16 keys: widened, then the f32 dot product. */
function halfWork(keys: Float32Array, query: Float32Array, dim: number, kernels: Kernels): Work {
  const { arena } = kernels;
  const plain = plainWork(keys, query, dim, kernels);
  const x = arena.allocate(4 * keys.length);
  const halves = arena.allocate(2 * keys.length);
  const wide = arena.allocate(4 * keys.length);
  const q = arena.allocate(4 * dim);
  const out = arena.allocate(4 * KEYS);
  arena.f32.set(keys, x >>> 2);
  arena.f32.set(query, q >>> 2);
  return {
    ...plain,
    encode: () => kernels.f32ToF16(x, halves, keys.length),
    score: () => {
      kernels.f16ToF32(halves, wide, keys.length);
      kernels.dotF32(q, wide, KEYS, dim, out);
    },
  };
}

function workOf(
  format: string,
  keys: Float32Array,
  query: Float32Array,
  dim: number,
  kernels: Kernels,
): Work {
  const slow = { encodeNs: Number.POSITIVE_INFINITY, scoreNs: Number.POSITIVE_INFINITY };
  const codec = findFormat(format).open({ dim, kernels });
  const packed = new Uint8Array(KEYS * codec.bytesPerVector);
  codec.encode(keys, packed);
  const { arena } = kernels;
  if (codec instanceof OwnCodec || format === "ggml/q8_0" || format === "ggml/q4_0") {
    const bytes = arena.allocate(packed.length);
    const q = arena.allocate(8 * dim);
    const x = arena.allocate(4 * keys.length);
    const out = arena.allocate(4 * KEYS);
    arena.u8.set(packed, bytes);
    arena.f32.set(query, q >>> 2);
    arena.f32.set(keys, x >>> 2);
    if (codec instanceof OwnCodec) {
      const plan = codec.plan.pointer;
      if (codec.sketch) kernels.project(plan, q, 1, q + 4 * dim);
      kernels.rotate(plan, q, 1);
      return {
        encode: () => kernels.encode(plan, x, KEYS, bytes),
        score: () => kernels.score(plan, q, q + 4 * dim, 0, bytes, KEYS, out),
        path: "packed",
        ...slow,
      };
    }
    return {
      encode: () => codec.encode(keys, packed),
      score: () =>
        format === "ggml/q8_0"
          ? kernels.dotQ8(q, bytes, KEYS, dim, out, q + 4 * dim)
          : kernels.dotQ4(q, bytes, KEYS, dim, out, q + 4 * dim),
      path: "packed",
      ...slow,
    };
  }
  if (format === "f16" || format === "ggml/f16") return halfWork(keys, query, dim, kernels);
  const front = createCodec(format, { dim, backend: kernels });
  return {
    encode: () => codec.encode(keys, packed),
    score: () => void front.score(query, packed),
    path: "decoded",
    ...slow,
  };
}
