/** How the quantised cache stores values. */
import { assertOneOf } from "../../core/check.js";

/** The crate's enum; serde writes the names. */
export const KvQuantType = { FP32: "FP32", Q8: "Q8", Q4: "Q4" } as const;
export type KvQuantType = (typeof KvQuantType)[keyof typeof KvQuantType];

/** The crate's default. */
export const DEFAULT_KV_QUANT_TYPE: KvQuantType = KvQuantType.FP32;

const NAMES = Object.values(KvQuantType);
const BYTES_PER_VALUE: Readonly<Record<KvQuantType, number>> = { FP32: 4, Q8: 1, Q4: 0.5 };

/** Nominal (QUIRK): without the scale, which adds 4 bytes per 32 values to Q8 and Q4. */
export function bytesPerValue(type: KvQuantType): number {
  assertOneOf(type, "type", NAMES);
  return BYTES_PER_VALUE[type];
}

/** 4 / bytesPerValue, so nominal too: 8 for Q4, which really stores 6.4 times less than f32. */
export const memoryReduction = (type: KvQuantType): number => 4 / bytesPerValue(type);

/** @throws TypeError or RangeError for anything but one of the three names. */
export function assertQuantType(type: unknown, name: string): asserts type is KvQuantType {
  assertOneOf(type, name, NAMES);
}
