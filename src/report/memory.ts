/** What a configuration costs in bytes: the registry's arithmetic, nothing else. */
import { findFormat } from "../formats/registry.js";
import type { Configuration } from "./configuration.js";

export interface Geometry {
  readonly layers: number;
  readonly kvHeads: number;
  readonly dim: number;
}

export interface Memory {
  readonly keyBits: number;
  readonly valueBits: number;
  /** Mean of both sides, every stored bit counted. */
  readonly bitsPerValue: number;
  /** One more token, all layers. */
  readonly bytesPerToken: number;
  /** What does not grow: key means, f32. */
  readonly fixedBytes: number;
  readonly bytesAt32K: number;
  readonly bytesAt128K: number;
  /** 1 − bytesPerToken / that of f16. */
  readonly savingAgainstF16: number;
}

export function memoryOf({ key, value, center }: Configuration, { layers, kvHeads, dim }: Geometry): Memory {
  const keyBytes = findFormat(key).vectorBytes(dim, "key");
  const valueBytes = findFormat(value).vectorBytes(dim, "value");
  const heads = layers * kvHeads;
  const bytesPerToken = heads * (keyBytes + valueBytes);
  const fixedBytes = center ? heads * 4 * dim : 0;
  return {
    keyBits: (8 * keyBytes) / dim,
    valueBits: (8 * valueBytes) / dim,
    bitsPerValue: (4 * (keyBytes + valueBytes)) / dim,
    bytesPerToken,
    fixedBytes,
    bytesAt32K: fixedBytes + 32768 * bytesPerToken,
    bytesAt128K: fixedBytes + 131072 * bytesPerToken,
    savingAgainstF16: 1 - bytesPerToken / (heads * 4 * dim),
  };
}
