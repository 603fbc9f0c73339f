/** Queries as engines hold them, which is no fault: in f32, in halves, or in q8_0 blocks where keys are quantised. */
import { fromF16, toF16 } from "../../core/float.js";
import { findFormat } from "../../formats/registry.js";

export interface QueryRounding {
  readonly note: string;
  /** In place, after the rotation. q: as wide as the keys. */
  round(q: Float64Array): void;
}

export const QUERY_ROUNDINGS: readonly QueryRounding[] = [
  { note: "queries in f32", round() {} },
  {
    note: "queries in blocks of q8_0",
    round(q) {
      const format = findFormat("ggml/q8_0");
      if (!format.supports(q.length)) return;
      const codec = format.open({ dim: q.length, nonFinite: "sanitize" });
      const bytes = new Uint8Array(codec.bytesPerVector);
      const values = Float32Array.from(q);
      codec.encode(values, bytes);
      codec.decode(bytes, values);
      q.set(values);
    },
  },
  {
    note: "queries in halves",
    round(q) {
      for (let i = 0; i < q.length; i++) q[i] = fromF16(toF16(q[i]!));
    },
  },
];
