/** Bytes or values of another variant of the same engine: its legacy layout, or a build of it that is known to be broken. */
import { findFormat } from "../formats/registry.js";
import { LEGACY_HEAD_CAUSE, LEGACY_HEAD_FAULT, legacyHead } from "./pipeline/legacy-head.js";
import { type Fault, pairId } from "./verdict.js";
import type { VerifyOptions } from "./verify-options.js";

const TURBO4 = ["llama/turbo4", "llama/turbo4-qjl"];

/** Of 68 bytes the fork has two layouts, and of the older one a broken build. */
export function relatedBytes({ format, dim, input }: VerifyOptions, packed: Uint8Array): Fault[] {
  if (!TURBO4.includes(format)) return [];
  const other = TURBO4.find((name) => name !== format)!;
  const out: Fault[] = [];
  const say = (id: string, due: Uint8Array, evidence: string): void => {
    const n = input.length / dim;
    const share = agreement(due, packed, packed.length / n);
    if (share > 0.5) out.push({ id, explains: share, evidence });
  };
  const encoded = (codec: { bytesPerVector: number; encode(x: Float32Array, out: Uint8Array): void }) => {
    const bytes = new Uint8Array((input.length / dim) * codec.bytesPerVector);
    codec.encode(input, bytes);
    return bytes;
  };
  if (packed.length % 68 !== 0) return [];
  const open = findFormat(other).open({ dim, nonFinite: "sanitize" });
  say("pack-legacy-layout", encoded(open), `these are bytes of ${other}`);
  const fault =
    format === "llama/turbo4" ? pairId([LEGACY_HEAD_FAULT, "pack-legacy-layout"]) : LEGACY_HEAD_FAULT;
  say(fault, encoded(legacyHead(dim)), LEGACY_HEAD_CAUSE);
  return out;
}

/** decoded: (n, width), of the broken build. */
export function relatedValues({ format, dim, input }: VerifyOptions, decoded: Float32Array): Fault[] {
  if (format !== "llama/turbo4-qjl") return [];
  const codec = legacyHead(dim);
  const n = input.length / dim;
  const bytes = new Uint8Array(n * codec.bytesPerVector);
  codec.encode(input, bytes);
  const due = new Float32Array(n * codec.width);
  codec.decodeNative(bytes, due);
  let same = 0;
  for (let v = 0; v < n; v++) {
    let near = true;
    for (let i = v * codec.width; near && i < (v + 1) * codec.width; i++)
      near = Object.is(due[i], decoded[i]) || Math.abs(due[i]! - decoded[i]!) <= 1e-5 * Math.abs(due[i]!);
    if (near) same++;
  }
  return same > 0.5 * n ? [{ id: LEGACY_HEAD_FAULT, explains: same / n, evidence: LEGACY_HEAD_CAUSE }] : [];
}

/** Vectors whose bytes are the same, but for a few: codes next to a boundary. */
function agreement(a: Uint8Array, b: Uint8Array, stride: number): number {
  if (a.length !== b.length) return 0;
  let good = 0;
  for (let at = 0; at < a.length; at += stride) {
    let wrong = 0;
    for (let i = at; i < at + stride; i++) if (a[i] !== b[i]) wrong++;
    if (wrong <= 2) good++;
  }
  return good / (a.length / stride);
}
