/** Whole-buffer faults: nothing written, the end not written, heads that were not padded, a size of another layout. */
import { findFormat } from "../formats/registry.js";
import { referenceBytes } from "./compare-packed.js";
import type { Fault } from "./verdict.js";
import type { VerifyOptions } from "./verify-options.js";

const agreementOf = (a: Uint8Array, b: Uint8Array, from: number, to: number): number => {
  let same = 0;
  for (let i = from; i < to; i++) if (a[i] === b[i]) same++;
  return to > from ? same / (to - from) : 0;
};

/** packed: bytes of any length; stride: bytes of a vector as they should be. */
export function geometryFaults(options: VerifyOptions, packed: Uint8Array, stride: number): Fault[] {
  const { format, dim, input } = options;
  const context = { side: options.side ?? ("key" as const), seed: options.seed ?? 0 };
  const n = input.length / dim;
  const out: Fault[] = [];
  const say = (id: string, explains: number, evidence: string): void => {
    if (explains > 0.3) out.push({ id, explains, evidence });
  };
  const ref = referenceBytes(format, dim, input, context);
  if (packed.length === ref.length && packed.every((b) => b === 0))
    return [{ id: "pack-zero", explains: 1, evidence: "every byte is zero" }];
  if (packed.length === ref.length) {
    emptyTails(ref, packed, stride, n, say, format);
    swappedVectors(ref, packed, stride, n, say);
  }
  if (packed.length < ref.length && packed.length > 0) {
    const each = packed.length / n;
    if (Number.isInteger(each)) {
      let same = 0;
      for (let v = 0; v < n; v++) if (samePart(ref, v * stride, packed, v * each, each)) same++;
      say(
        "pack-tail-dropped",
        same / n,
        `${same} of ${n} vectors: only the first ${each} of ${stride} bytes`,
      );
    }
  }
  if (format.startsWith("llama/turbo")) unpadded(options, packed, stride, say);
  return out;
}

function samePart(a: Uint8Array, from: number, b: Uint8Array, at: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[from + i] !== b[at + i]) return false;
  return true;
}

type Say = (id: string, explains: number, evidence: string) => void;

/** Codes are zero from some byte of every vector on; or all of the last vectors are; or all but the norms are. */
function emptyTails(
  ref: Uint8Array,
  packed: Uint8Array,
  stride: number,
  n: number,
  say: Say,
  wireName: string,
): void {
  const zeroAt = new Uint8Array(stride).fill(1);
  for (let i = 0; i < packed.length; i++) if (packed[i] !== 0) zeroAt[i % stride] = 0;
  const zeros = zeroAt.reduce((sum, z) => sum + z, 0);
  const refZero = new Uint8Array(stride).fill(1);
  for (let i = 0; i < ref.length; i++) if (ref[i] !== 0) refZero[i % stride] = 0;
  const lost = zeroAt.reduce((sum, z, i) => sum + (z && !refZero[i] ? 1 : 0), 0);
  if (lost > 0) {
    let good = 0;
    for (let v = 0; v < n; v++)
      if (zeroAt.every((z, i) => z || packed[v * stride + i] === ref[v * stride + i])) good++;
    const rest = good / n;
    // The codes' end: behind it may lie the norm.
    let end = stride;
    while (end > stride - 4 && !zeroAt[end - 1]) end--;
    let start = end;
    while (start > 0 && zeroAt[start - 1]) start--;
    const suffix = end - start >= lost;
    if (lost >= stride * 0.75 && stride - zeros <= 8)
      say("pack-zero", Math.max(rest, 0.9), "every code is zero, norms are there");
    else if (suffix && rest > 0.9 && !isPlane(wireName, lost))
      say("pack-tail-dropped", rest, `bytes ${start} … ${end - 1} of every vector are zero`);
  }
}

/** Rows of the reference in another order: heads and tokens exchanged. */
function swappedVectors(ref: Uint8Array, packed: Uint8Array, stride: number, n: number, say: Say): void {
  for (let h = 2; h <= n / 2; h++) {
    if (n % h !== 0) continue;
    const tokens = n / h;
    let same = 0;
    for (let i = 0; i < n; i++)
      if (samePart(ref, ((i % tokens) * h + Math.floor(i / tokens)) * stride, packed, i * stride, stride))
        same++;
    if (same === n) say("stride-head", 1, `${h} heads and ${tokens} tokens exchanged`);
  }
}

/** Heads that are no multiple of the group: run together, cropped, or filled with what follows. */
function unpadded(options: VerifyOptions, packed: Uint8Array, stride: number, say: Say): void {
  const { format, dim, input } = options;
  const context = { side: options.side ?? ("key" as const), seed: options.seed ?? 0 };
  const group = 128;
  if (dim % group === 0) return;
  const opened = findFormat(format).open({ dim: group });
  const bytes = opened.bytesPerVector;
  const n = input.length / dim;
  const groups = Math.ceil(dim / group);
  const check = (x: Float32Array, note: string, id = "pad-missing"): void => {
    const due = referenceBytes(format, group, x, context);
    const length = Math.min(due.length, packed.length);
    if (length > 0 && Math.abs(due.length - packed.length) < bytes)
      say(id, agreementOf(due, packed, 0, length), note);
  };
  const whole = Math.floor(input.length / group) * group;
  check(input.slice(0, whole), "heads run together, groups cross from one head to the next");
  const tail = new Float32Array(Math.ceil(input.length / group) * group);
  tail.set(input);
  check(tail, "heads run together, only the end is padded");
  const floor = Math.floor(dim / group) * group;
  if (floor > 0) {
    const cropped = new Float32Array(n * floor);
    for (let v = 0; v < n; v++) cropped.set(input.subarray(v * dim, v * dim + floor), v * floor);
    check(cropped, `only the first ${floor} of ${dim} values are coded`, "pack-tail-dropped");
  }
  if (packed.length === n * stride) {
    const follow = new Float32Array(n * groups * group);
    const repeat = new Float32Array(n * groups * group);
    const edge = new Float32Array(n * groups * group);
    for (let v = 0; v < n; v++)
      for (let i = 0; i < groups * group; i++) {
        follow[v * groups * group + i] = input[v * dim + i] ?? 0;
        repeat[v * groups * group + i] = input[v * dim + (i % dim)]!;
        edge[v * groups * group + i] = input[v * dim + Math.min(i, dim - 1)]!;
      }
    check(follow, "the padding holds the values that follow", "pad-missing");
    check(repeat, "the padding repeats the head", "pad-missing");
    check(edge, "the padding repeats the last value", "pad-missing");
  }
}

/** turbo3's plane of high bits is the last sixteen bytes: empty, it is a missing plane. */
const isPlane = (format: string, lost: number): boolean => format === "llama/turbo3" && lost === 16;
