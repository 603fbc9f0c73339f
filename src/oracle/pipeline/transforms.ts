/**
 * What stands between a group of values and the numbers that are compared with the boundaries: the true rotation, and
 * every wrong one that has been seen. f64, since only the verdict needs the engine's own arithmetic.
 */
import { denseMatrices } from "../../formats/llama-dense.js";
import { llamaRotation } from "../../formats/llama-rotation.js";
import { pairId } from "../verdict.js";
import type { Wire } from "./wire.js";

export interface Transform {
  /** Absent for the true one. */
  readonly id?: string;
  readonly note: string;
  /** x: (group,) with its norm → z: (group,). */
  run(x: Float64Array, norm: number, z: Float64Array): void;
  /** z is this multiple of the true one. */
  readonly gain?: number;
}

/**
 * Names of a transform, the likelier first. Where the stored scale does not tell (it is the raw norm, or only values
 * are seen), values too large by g are the same as a table too small by g.
 */
export function namesOf(t: Transform, wire: Wire, scaleTells: boolean): (string | undefined)[] {
  if (t.gain === undefined || scaleTells) return [t.id];
  const hardCoded = wire.block !== 128 && Math.abs(t.gain - Math.sqrt(wire.block / 128)) < 1e-6;
  const table = t.gain > 0.4 && t.gain < 2.5 && !hardCoded;
  const sigma = pairId(t.id!.split("+").map((id) => (id === "rotation-scale" ? "codebook-sigma" : id)));
  return table ? [sigma, t.id] : [t.id, sigma];
}

export function hadamard(x: Float64Array, block: number): void {
  for (let h = 1; h < block; h <<= 1)
    for (let i = 0; i < x.length; i += h << 1)
      for (let j = i; j < i + h; j++) {
        const a = x[j]!;
        const b = x[j + h]!;
        x[j] = a + b;
        x[j + h] = a - b;
      }
}

/** y = M x; transposed: y = Mᵀ x. */
export function matrixProduct(m: Float32Array, x: Float64Array, y: Float64Array, transposed: boolean): void {
  const d = x.length;
  for (let i = 0; i < d; i++) {
    let sum = 0;
    for (let j = 0; j < d; j++) sum += (transposed ? m[j * d + i]! : m[i * d + j]!) * x[j]!;
    y[i] = sum;
  }
}

type Signs = Float32Array | undefined;

/** z = after ⊙ H (before ⊙ x) · factor, then reordered. */
function signed(
  z: Float64Array,
  block: number,
  before: Signs,
  after: Signs,
  order?: Int32Array,
  lateOrder = false,
): void {
  if (before) for (let i = 0; i < z.length; i++) z[i]! *= before[i]!;
  hadamard(z, block);
  const unit = 1 / Math.sqrt(block);
  if (order && !lateOrder) permute(z, order);
  for (let i = 0; i < z.length; i++) z[i]! *= after ? unit * after[i]! : unit;
  if (order && lateOrder) permute(z, order);
}

function permute(z: Float64Array, order: Int32Array): void {
  const copy = z.slice();
  const block = order.length;
  for (let base = 0; base < z.length; base += block)
    for (let i = 0; i < block; i++) z[base + i] = copy[base + order[i]!]!;
}

/** The true rotation of a unit vector, in place. */
export function trueRotation(wire: Wire, z: Float64Array): void {
  if (wire.dense) {
    const copy = z.slice();
    matrixProduct(wire.dense, copy, z, false);
  } else signed(z, wire.block, wire.before, wire.after);
}

/** Its inverse. */
export function trueUnrotation(wire: Wire, z: Float64Array): void {
  if (wire.dense) {
    const copy = z.slice();
    matrixProduct(wire.dense, copy, z, true);
  } else signed(z, wire.block, wire.after, wire.before);
}

const unitInto = (x: Float64Array, norm: number, z: Float64Array): void => {
  const inverse = norm > 1e-10 ? 1 / norm : 0;
  for (let i = 0; i < x.length; i++) z[i] = x[i]! * inverse;
};

export const trueTransform = (wire: Wire): Transform => ({
  note: "",
  run(x, norm, z) {
    unitInto(x, norm, z);
    trueRotation(wire, z);
  },
});

const hasSigns = (s: Float32Array): boolean => s.some((v) => v < 0);

/** A wrong rotation of a vector in place. */
interface Turn {
  readonly id: string;
  readonly note: string;
  readonly turn: (z: Float64Array) => void;
  readonly gain?: number;
}

/** A wrong way to bring a vector to unit length: before the rotation, or after it. */
interface Unit {
  readonly id: string;
  readonly note: string;
  readonly into: (x: Float64Array, norm: number, z: Float64Array) => void;
  readonly later?: (z: Float64Array) => void;
}

const composed = (unit: Unit | undefined, turn: Turn | undefined, wire: Wire): Transform => ({
  id: pairId([unit?.id, turn?.id].filter((id): id is string => id !== undefined)),
  note: [unit?.note, turn?.note].filter((n) => n).join("; "),
  run(x, norm, z) {
    (unit?.into ?? unitInto)(x, norm, z);
    if (turn) turn.turn(z);
    else trueRotation(wire, z);
    unit?.later?.(z);
  },
  ...(turn?.gain === undefined ? {} : { gain: turn.gain }),
});

/** Wrong rotations and wrong normalisations, the likeliest first; pairs: one of each, too, behind them. */
export function transformFaults(wire: Wire, pairs = false): Transform[] {
  const turns = rotationFaults(wire);
  const units = unitFaults(wire);
  const out = [
    ...turns.map((t) => composed(undefined, t, wire)),
    ...units.map((u) => composed(u, undefined, wire)),
  ];
  if (pairs) for (const u of units) for (const t of turns) out.push(composed(u, t, wire));
  return out;
}

function rotationFaults(wire: Wire): Turn[] {
  const { block, before, after, group, dense } = wire;
  const out: Turn[] = [];
  const add = (id: string, note: string, turn: (z: Float64Array) => void, more: Partial<Turn> = {}): void => {
    out.push({ id, note, turn, ...more });
  };
  add("rotation-missing", "no transform at all", () => {});
  if (dense) {
    add("rotation-transposed", "Rᵀ in place of R", (z) => matrixProduct(dense, z.slice(), z, true));
    add("rotation-dense-vs-wht", "the signed Hadamard transform in place of the dense matrix", (z) =>
      signed(z, block, before, after),
    );
    add("rotation-dense-vs-wht", "the Hadamard transform with its signs exchanged", (z) =>
      signed(z, block, after, before),
    );
    add("rotation-unsigned", "plain Hadamard in place of the dense matrix", (z) =>
      signed(z, block, undefined, undefined),
    );
  } else if (hasSigns(before)) {
    add("rotation-unsigned", "Hadamard without signs", (z) => signed(z, block, undefined, undefined));
    add("rotation-signs-after", "signs only after the Hadamard transform", (z) =>
      signed(z, block, undefined, after),
    );
    add("rotation-signs-after", "both signs after the Hadamard transform", (z) => {
      signed(z, block, undefined, after);
      for (let i = 0; i < z.length; i++) z[i]! *= before[i]!;
    });
    add("rotation-signs-after", "the first signs after the Hadamard transform, none before", (z) =>
      signed(z, block, undefined, before),
    );
    add("rotation-signs-swapped", "the inverse used as the forward transform", (z) =>
      signed(z, block, after, before),
    );
    add("rotation-unknown", "signs before the Hadamard transform only", (z) =>
      signed(z, block, before, undefined),
    );
    add("rotation-unknown", "the second signs before the Hadamard transform only", (z) =>
      signed(z, block, after, undefined),
    );
    add("rotation-unknown", "the first signs on both sides", (z) => signed(z, block, before, before));
    add("rotation-unknown", "the second signs on both sides", (z) => signed(z, block, after, after));
  } else {
    // No signs: H is its own inverse, so what is swapped or transposed cannot be seen.
    if (group === 32 || group === 64 || group === 128) {
      const { before: s1, after: s2 } = llamaRotation(group);
      add("rotation-unknown", "the llama fork's signs, which this format has not", (z) =>
        signed(z, block, s1, s2),
      );
    }
  }
  if (!dense) {
    const orders: [string, Int32Array][] = [
      ["sequency", sequency(block)],
      ["inverse sequency", inverseOrder(sequency(block))],
      ["bit-reversed", bitReversed(block)],
      ["Gray", gray(block)],
      ["inverse Gray", inverseOrder(gray(block))],
    ];
    for (const [name, order] of orders)
      for (const late of hasSigns(after) ? [false, true] : [false])
        add("rotation-order", `rows in ${name} order${late ? ", after the signs" : ""}`, (z) =>
          signed(z, block, before, after, order, late),
        );
    for (const small of [64, 32, 16])
      if (small < block)
        add("rotation-unknown", `Hadamard blocks of ${small} in place of ${block}`, (z) =>
          signed(z, small, before, after),
        );
    if (group === 128) {
      add("rotation-dense-vs-wht", "the legacy dense matrix in place of the Hadamard transform", (z) =>
        matrixProduct(denseMatrices().rotation, z.slice(), z, false),
      );
      add("rotation-dense-vs-wht", "the legacy dense matrix, transposed", (z) =>
        matrixProduct(denseMatrices().rotation, z.slice(), z, true),
      );
    }
  }
  add("rotation-double", "rotated twice", (z) => {
    trueRotation(wire, z);
    trueRotation(wire, z);
  });
  if (!dense && hasSigns(before))
    for (const small of new Set([block, 64, 32])) {
      if (small > block) continue;
      add("rotation-double", `the engine's plain Hadamard of ${small}, then the format's rotation`, (z) => {
        signed(z, small, undefined, undefined);
        trueRotation(wire, z);
      });
      add("rotation-double", `the format's rotation, then the engine's plain Hadamard of ${small}`, (z) => {
        trueRotation(wire, z);
        signed(z, small, undefined, undefined);
      });
    }
  const root = Math.sqrt(block);
  const scales: [string, number][] = [
    ["1/√d missing", root],
    ["1/√d applied twice", 1 / root],
    ["1/√128 in place of 1/√d", Math.sqrt(block / 128)],
    ["1/√(2d) in place of 1/√d", Math.SQRT1_2],
    ["√2 too large", Math.SQRT2],
    ["2 too large", 2],
    ["2 too small", 0.5],
    ["1/√64 in place of 1/√d", Math.sqrt(block / 64)],
    ["1/√256 in place of 1/√d", Math.sqrt(block / 256)],
  ];
  const done = new Set([1]);
  for (const [note, gain] of scales) {
    if (done.has(gain) || wire.boundaries.length === 1) continue; // one boundary, at zero: no gain shows
    done.add(gain);
    add(
      "rotation-scale",
      note,
      (z) => {
        trueRotation(wire, z);
        for (let i = 0; i < z.length; i++) z[i]! *= gain;
      },
      { gain },
    );
  }
  return out;
}

function unitFaults(wire: Wire): Unit[] {
  const { group } = wire;
  const out: Unit[] = [
    {
      id: "norm-missing",
      note: "values are not normalised before the quantiser",
      into: (x, _norm, z) => z.set(x),
    },
  ];
  for (const run of [32, 64, 16])
    if (run < Math.min(group, wire.dim))
      for (const [by, size] of [
        [1, "its own norm"],
        [run / group, "√(values) times its own norm"],
      ] as const)
        out.push(
          {
            id: "norm-block",
            note: `each ${run} values normalised by ${size}`,
            into: (x, _norm, z) => blockNormalised(x, z, run, by),
          },
          {
            id: "norm-block",
            note: `each ${run} rotated values normalised by ${size}`,
            into: unitInto,
            later: (z) => blockNormalised(z, z, run, by),
          },
        );
  // A sign tells of no positive factor behind the rotation, nor of one that all values share.
  return wire.boundaries.length !== 1 ? out : out.filter((u) => u.id !== "norm-missing" && !u.later);
}

function blockNormalised(x: Float64Array, z: Float64Array, run: number, share: number): void {
  for (let at = 0; at < x.length; at += run) {
    let sum = 0;
    for (let i = at; i < at + run; i++) sum += x[i]! * x[i]!;
    const inverse = sum > 1e-20 ? Math.sqrt(share / sum) : 0;
    for (let i = at; i < at + run; i++) z[i] = x[i]! * inverse;
  }
}

const bitsOf = (n: number): number => Math.round(Math.log2(n));
const reverse = (i: number, bits: number): number => {
  let r = 0;
  for (let b = 0; b < bits; b++) r |= ((i >> b) & 1) << (bits - 1 - b);
  return r;
};
const bitReversed = (n: number): Int32Array =>
  Int32Array.from({ length: n }, (_, i) => reverse(i, bitsOf(n)));
const gray = (n: number): Int32Array => Int32Array.from({ length: n }, (_, i) => i ^ (i >> 1));
/** Row i of the Walsh matrix (i sign changes) is row rev(gray(i)) of the Sylvester matrix. */
const sequency = (n: number): Int32Array =>
  Int32Array.from({ length: n }, (_, i) => reverse(i ^ (i >> 1), bitsOf(n)));
function inverseOrder(order: Int32Array): Int32Array {
  const inverse = new Int32Array(order.length);
  order.forEach((from, to) => {
    inverse[from] = to;
  });
  return inverse;
}
