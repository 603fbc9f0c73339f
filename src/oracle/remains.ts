/**
 * Buffers that are too short, too long, empty at the end or a few bytes off: each such fault names the part that is
 * where it should be, and that part is judged as if it were all there is.
 */
import { referenceBytes } from "./compare-packed.js";
import { type Fault, pairId } from "./verdict.js";
import type { VerifyOptions } from "./verify-options.js";

/** Vectors `from` … `to`, and the bytes or values that belong to them. */
export interface Remains<T> {
  readonly id: string;
  readonly note: string;
  readonly from: number;
  readonly to: number;
  readonly rest: T;
}

/** Trailing zeros where other things are due; the vector that they begin in is gone too. */
export function emptyTail<T extends Uint8Array | Float32Array>(
  due: T,
  given: T,
  stride: number,
): Remains<T> | undefined {
  let end = given.length;
  while (end > 0 && given[end - 1] === 0) end--;
  let lost = 0;
  for (let i = end; i < due.length; i++) if (due[i] !== 0) lost++;
  const to = Math.floor(end / stride);
  if (lost < 4 || to < 1 || to === due.length / stride) return undefined;
  return {
    id: "pack-tail-dropped",
    note: `nothing is written from vector ${to} on`,
    from: 0,
    to,
    rest: given.slice(0, to * stride) as T,
  };
}

/**
 * Zeros at the end of every block, where other things are due: what is there, with what is due in their place. block:
 * values.
 */
export function emptyEnds(
  due: Float32Array,
  given: Float32Array,
  block: number,
  dim: number,
): Remains<Float32Array> | undefined {
  let kept = 0;
  let lost = 0;
  let size = 0;
  for (let at = 0; at < given.length; at += block) {
    let end = block;
    while (end > 0 && given[at + end - 1] === 0) end--;
    let here = 0;
    for (let i = at + end; i < at + block; i++) if (due[i] !== 0) here++;
    // Blocks that are zero altogether say nothing of their ends.
    if (end === 0) continue;
    kept = Math.max(kept, end);
    lost += here;
    size++;
  }
  if (size < 2 || block - kept < 4 || lost < 0.5 * size * (block - kept)) return undefined;
  const rest = given.slice();
  for (let at = 0; at < rest.length; at += block) {
    let dg = 0;
    let dd = 0;
    for (let i = at; i < at + kept; i++) {
      dg += due[i]! * given[i]!;
      dd += due[i]! ** 2;
    }
    const scale = Number.isFinite(dg) && dd > 0 && Math.abs(dg / dd - 1) > 1e-6 ? dg / dd : 1;
    for (let i = at + kept; i < at + block; i++) rest[i] = due[i]! * scale;
  }
  return {
    id: "pack-tail-dropped",
    note: `the last ${block - kept} of every ${block} values are zero`,
    from: 0,
    to: given.length / dim,
    rest,
  };
}

const EMPTY = ["pack-tail-dropped", "pack-zero", "decode-zero"];

/**
 * Faults that say nothing about vectors at the end that are empty, and should not be, explain the less for it. due,
 * given: of the same length; unit: bytes or values of a block.
 */
export function beyondTail<T extends Uint8Array | Float32Array>(
  faults: readonly Fault[],
  due: T,
  given: T,
  unit: number,
): Fault[] {
  let end = given.length;
  while (end > 0 && given[end - 1] === 0) end--;
  const from = Math.ceil(end / unit);
  let lost = 0;
  for (let i = from * unit; i < due.length; i++) if (due[i] !== 0) lost++;
  if (lost < 4 || given.length !== due.length) return [...faults];
  const kept = (from * unit) / due.length;
  return faults.map((f) =>
    f.id.split("+").some((id) => EMPTY.includes(id)) ? f : { ...f, explains: f.explains * kept - 0.04 },
  );
}

/** packed: of any length. */
export function remainsOf(options: VerifyOptions, packed: Uint8Array, stride: number): Remains<Uint8Array>[] {
  const { format, dim, input } = options;
  const n = input.length / dim;
  const out: Remains<Uint8Array>[] = [];
  const whole = Math.floor(packed.length / stride);
  if (packed.length < n * stride && whole >= 1)
    out.push({
      id: "pack-tail-dropped",
      note: `the last ${n * stride - packed.length} bytes are missing`,
      from: 0,
      to: whole,
      rest: packed.slice(0, whole * stride),
    });
  if (packed.length > n * stride) {
    out.push({
      id: "overrun",
      note: `${packed.length - n * stride} bytes behind the end`,
      from: 0,
      to: n,
      rest: packed.slice(0, n * stride),
    });
    const each = packed.length / n;
    if (Number.isInteger(each)) {
      const rest = new Uint8Array(n * stride);
      for (let v = 0; v < n; v++) rest.set(packed.subarray(v * each, v * each + stride), v * stride);
      out.push({ id: "overrun", note: `${each - stride} bytes behind every vector`, from: 0, to: n, rest });
    }
  }
  if (packed.length !== n * stride) return out;
  const ref = referenceBytes(format, dim, input, { side: options.side ?? "key", seed: options.seed ?? 0 });
  const tail = emptyTail(ref, packed, stride);
  if (tail) out.push(tail);
  const agreement = (by: number): number => {
    let same = 0;
    const from = Math.max(0, by);
    const to = Math.min(ref.length, ref.length + by);
    for (let i = from; i < to; i++) if (packed[i] === ref[i - by]) same++;
    return to > from ? same / (to - from) : 0;
  };
  for (const by of [1, 2, 4, stride, -1, -2, -4, -stride]) {
    if (n < 3 || agreement(by) < 0.6) continue;
    const from = by > 0 ? 0 : 1;
    const to = by > 0 ? n - Math.ceil(by / stride) : n;
    if (to - from < 1) continue;
    out.push({
      id: "overrun",
      note: `everything lies ${by} bytes from where it belongs`,
      from,
      to,
      rest: packed.slice(from * stride + by, to * stride + by),
    });
  }
  return out;
}

/** The fault of the whole from what its part is: conforming, or of a fault itself. */
export function throughRemains<T>(
  all: readonly Remains<T>[],
  judge: (r: Remains<T>) => { readonly faulty: boolean; readonly faults: readonly Fault[] },
): Fault[] {
  const out: Fault[] = [];
  for (const r of all) {
    const { faulty, faults } = judge(r);
    if (!faulty) {
      out.push({ id: r.id, explains: 1, evidence: `${r.note}; vectors ${r.from} … ${r.to - 1} conform` });
      continue;
    }
    for (const f of faults.slice(0, 2))
      if (f.id !== "unknown" && f.explains > 0.55 && !f.id.includes("+"))
        out.push({
          id: pairId([r.id, f.id]),
          explains: f.explains,
          evidence: `${r.note}; vectors ${r.from} … ${r.to - 1}: ${f.evidence}`,
        });
  }
  return out;
}
