/** The definition of a format, opened once and run by the SIMD kernels where they have it; equal bit for bit. */
import type { Side, VectorCodec } from "../../formats/format.js";
import { findFormat } from "../../formats/registry.js";
import { hasWasmSimd, loadWasmSync } from "../../kernels/wasm.js";
import { comparisonOf, valueComparisonOf } from "../compare.js";
import type { Comparison } from "../compare-packed.js";

/** What the vectors of a dump are. */
export interface DumpFormat {
  readonly format: string;
  readonly dim: number;
  readonly side: Side;
  readonly seed: number | bigint;
}

/** Codes and compares; spans are caller-owned. */
export interface Definition {
  readonly stride: number;
  readonly width: number;
  readonly codec: VectorCodec;
  comparePacked(x: Float32Array, ref: Uint8Array, packed: Uint8Array): Comparison;
  compareDecoded(x: Float32Array, due: Float32Array, decoded: Float32Array): Comparison;
}

/** @throws RangeError for a dimension that the format does not take. */
export function openDefinition(of: DumpFormat): Definition {
  const { format, dim, side, seed } = of;
  const codec = findFormat(format).open({
    dim,
    side,
    seed,
    nonFinite: "sanitize",
    ...(hasWasmSimd() ? { kernels: loadWasmSync() } : {}),
  });
  const { bytesPerVector: stride, width } = codec;
  return {
    stride,
    width,
    codec,
    comparePacked: comparisonOf(of, stride),
    compareDecoded: valueComparisonOf(of, width),
  };
}
