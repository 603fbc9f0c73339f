/** Do both backends give the same bits on this recording? Encoded bytes, decoded values and scores, compared as bits. */
import { createCodec } from "../formats/codec.js";
import { findFormat } from "../formats/registry.js";
import type { Kernels } from "../kernels/kernels.js";
import type { Configuration } from "./configuration.js";
import type { Recording } from "./recording.js";

export interface Agreement {
  /** The backend that was compared with the reference: the caller can see that it ran. */
  readonly backend: string;
  readonly vectors: number;
  /** Encoded bytes, decoded values and scores whose bits differ. */
  readonly differences: number;
}

/** Vectors of each side compared per format. */
const VECTORS = 256;

export function measureAgreement(
  recording: Recording,
  configurations: readonly Configuration[],
  wasm: Kernels,
): Agreement {
  const { dim, layers } = recording;
  const seen = new Set<string>();
  let vectors = 0;
  let differences = 0;
  for (const configuration of configurations) {
    for (const side of ["key", "value"] as const) {
      const format = configuration[side];
      if (findFormat(format).family !== "turboquant" || seen.has(`${format} ${side}`)) continue;
      seen.add(`${format} ${side}`);
      for (const layer of layers) {
        const x = layer[side].subarray(0, VECTORS * dim);
        const query = layer.query.subarray(0, dim);
        const a = createCodec(format, { dim, side, backend: "reference" });
        const b = createCodec(format, { dim, side, backend: wasm });
        const bytes = a.encode(x);
        vectors += x.length / dim;
        differences += differing(bytes, b.encode(x));
        differences += differing(bitsOf(a.decode(bytes)), bitsOf(b.decode(bytes)));
        differences += differing(bitsOf(a.score(query, bytes)), bitsOf(b.score(query, bytes)));
      }
    }
  }
  return { backend: wasm.name, vectors, differences };
}

const bitsOf = (x: Float32Array): Uint32Array => new Uint32Array(x.buffer, x.byteOffset, x.length);

function differing(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let count = a.length === b.length ? 0 : 1;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) count++;
  return count;
}
