/**
 * The contract: every kernel of the WASM backend gives the bits of the reference, for `count` vectors per kernel and
 * dimension. kernels.test.ts runs it small, kernels-*.long.test.ts with 10⁵.
 */
import { describe, expect, test } from "vitest";
import { createSketch, type Sketch } from "../../src/core/qjl.js";
import { createQuantizer, type Quantizer } from "../../src/core/quantizer.js";
import { SCALE_RULES, type ScaleRule } from "../../src/core/scale.js";
import { seededRotation } from "../../src/core/seeded-rotation.js";
import type { Kernels } from "../../src/kernels/kernels.js";
import { createPlan, vectorLayout } from "../../src/kernels/plan.js";
import { createReferenceKernels } from "../../src/kernels/reference.js";
import { loadWasmSync } from "../../src/kernels/wasm.js";
import { compareBytes, compareFloats, type Difference, run } from "./compare.js";
import { packedRows, plainVectors, randomBytes, trickyVectors } from "./inputs.js";

const CHUNK = 240;

export interface Setup {
  readonly q: Quantizer;
  readonly sketch?: Sketch;
}

/** Both backends. */
export const reference = createReferenceKernels();
export const wasm = loadWasmSync();

/** The same work on each backend with its own plan; compares what comes out. */
export function bothWith(
  setup: Setup,
  work: (k: Kernels, plan: number) => Uint8Array,
  compare: (want: Uint8Array, got: Uint8Array) => Difference,
  otherSetup: Setup = setup,
): Difference {
  const on = (k: Kernels, { q, sketch }: Setup): Uint8Array => {
    const plan = createPlan(k.arena, q, sketch);
    const out = work(k, plan.pointer);
    plan.release();
    return out;
  };
  return compare(on(reference, setup), on(wasm, otherSetup));
}

const layoutOf = ({ q, sketch }: Setup) => vectorLayout(q.dim, q.codebook.bits, sketch?.rows ?? 0);

/** Splits count vectors into chunks; the seed of each is its first vector. */
function inChunks(count: number, check: (rows: number, seed: number) => Difference): void {
  for (let done = 0; done < count; done += CHUNK) {
    const { count: differences, first } = check(Math.min(CHUNK, count - done), done);
    if (differences > 0) expect.fail(`${differences} differ; chunk ${done}: ${first}`);
  }
}

export const checkEncode = (setup: Setup, rows: number, seed: number, other = setup): Difference => {
  const x = trickyVectors(rows, setup.q.dim, seed);
  const size = rows * layoutOf(setup).stride;
  const work = (k: Kernels, plan: number): Uint8Array =>
    run(k, [x], size, ([at], out) => k.encode(plan, at!, rows, out), { odd: true });
  return bothWith(setup, work, compareBytes, other);
};

export const checkDecode = (
  setup: Setup,
  which: "decode" | "decodeRotated",
  rows: number,
  seed: number,
  other = setup,
): Difference => {
  const bytes = packedRows(rows, layoutOf(setup), seed, seed % (2 * CHUNK) === 0);
  const size = 4 * rows * setup.q.dim;
  const work = (k: Kernels, plan: number): Uint8Array =>
    run(k, [bytes], size, ([at], out) => k[which](plan, at!, rows, out));
  return bothWith(setup, work, compareFloats, other);
};

const checkScore = (setup: Setup, rows: number, seed: number): Difference => {
  const bytes = packedRows(rows, layoutOf(setup), seed, seed % (2 * CHUNK) === 0);
  const make = seed % (3 * CHUNK) === 0 ? trickyVectors : plainVectors;
  const query = make(1, setup.q.dim, seed + 1);
  const sketched = make(1, setup.sketch?.rows ?? 4, seed + 2);
  const work = (k: Kernels, plan: number): Uint8Array =>
    run(k, [query, sketched, bytes], 4 * rows, ([a, s, at], out) =>
      k.score(plan, a!, s!, seed % 2 ? 0 : 0.3, at!, rows, out),
    );
  return bothWith(setup, work, compareFloats);
};

const checkAccumulate = (setup: Setup, rows: number, seed: number): Difference => {
  const width = setup.q.dim + (setup.sketch?.rows ?? 0);
  const bytes = packedRows(rows, layoutOf(setup), seed, seed % (4 * CHUNK) === 0);
  const weights = (seed % (5 * CHUNK) === 0 ? trickyVectors : plainVectors)(1, rows, seed + 1);
  const initial = plainVectors(1, width, seed + 2);
  const work = (k: Kernels, plan: number): Uint8Array =>
    run(k, [weights, bytes], 4 * width, ([w, at], acc) => k.accumulate(plan, w!, at!, rows, acc), {
      initial,
    });
  return bothWith(setup, work, compareFloats);
};

const checkRotation = (
  setup: Setup,
  which: "rotate" | "unrotate",
  rows: number,
  seed: number,
): Difference => {
  const initial = trickyVectors(rows, setup.q.dim, seed);
  const work = (k: Kernels, plan: number): Uint8Array =>
    run(k, [], initial.byteLength, (_, x) => k[which](plan, x, rows), { initial });
  return bothWith(setup, work, compareFloats);
};

const checkProject = (setup: Setup, rows: number, seed: number): Difference => {
  const x = trickyVectors(rows, setup.q.dim, seed);
  const work = (k: Kernels, plan: number): Uint8Array =>
    run(k, [x], 4 * rows * setup.sketch!.rows, ([at], out) => k.project(plan, at!, rows, out));
  return bothWith(setup, work, compareFloats);
};

const both = (work: (k: Kernels) => Uint8Array): Difference => compareFloats(work(reference), work(wasm));

function checkDense(dim: number, rows: number, seed: number): Difference {
  const vectors = trickyVectors(rows, dim, seed);
  const query = plainVectors(1, dim, seed + 1);
  const dots = both((k) =>
    run(k, [query, vectors], 4 * rows, ([a, at], out) => k.dotF32(a!, at!, rows, dim, out)),
  );
  if (dots.count > 0) return dots;
  const weights = plainVectors(1, rows, seed + 2);
  const values = seed % (3 * CHUNK) === 0 ? vectors : plainVectors(rows, dim, seed + 3);
  return both((k) =>
    run(k, [weights, values], 4 * dim, ([w, at], acc) => k.accumulateF32(w!, at!, rows, dim, acc), {
      initial: query,
    }),
  );
}

/** sums (4,), x (n,), and the maximum behind them; the softmax of scores of any size, tails included. */
function checkSoftmax(rows: number, seed: number): Difference {
  const n = Math.max(1, rows - (seed % 4));
  const wild = seed % (3 * CHUNK) === 0;
  const scores = wild ? trickyVectors(1, rows, seed) : plainVectors(1, rows, seed).map((v) => 40 * v);
  const initial = Float32Array.of(1, 2, 3, 4, ...scores.subarray(0, n), 0);
  if (!wild) initial[4 + (seed % n)] = Number.NEGATIVE_INFINITY;
  return both((k) =>
    run(
      k,
      [],
      initial.byteLength,
      (_, out) => {
        const max = k.scaleMax(out + 16, n, 0.3);
        k.arena.f32[(out >>> 2) + 4 + n] = max;
        k.softmaxWeights(out + 16, n, max, out);
      },
      { initial },
    ),
  );
}

function checkGgml(which: "dotQ8" | "dotQ4", dim: number, rows: number, seed: number): Difference {
  const block = which === "dotQ8" ? 34 : 18;
  const bytes = randomBytes((rows * dim * block) / 32, seed);
  if (seed % (2 * CHUNK) !== 0) for (let at = 1; at < bytes.length; at += block) bytes[at]! &= 0xbf;
  const query = (seed % (3 * CHUNK) === 0 ? trickyVectors : plainVectors)(1, dim, seed + 1);
  const work = new Uint8Array(2 * dim);
  return both((k) =>
    run(k, [query, bytes, work], 4 * rows, ([a, at, w], out) => k[which](a!, at!, rows, dim, out, w!)),
  );
}

/** Two tiles of online softmax after one another: states as they begin, or wild. */
function checkWeighTile(rows: number, seed: number): Difference {
  const n = Math.max(1, rows - (seed % 4));
  const wild = seed % (3 * CHUNK) === 0;
  const scores = (wild ? trickyVectors : plainVectors)(1, rows, seed).map((v) => (wild ? v : 40 * v));
  if (!wild) scores.fill(Number.NEGATIVE_INFINITY, 0, seed % 3 === 0 ? n : seed % n);
  const state = wild
    ? trickyVectors(1, 8, seed + 1)
    : Float32Array.of(Number.NEGATIVE_INFINITY, 0.3, 0, 0, 0, 0, 0, 0);
  const initial = Float32Array.of(
    ...state,
    ...scores.subarray(0, n),
    ...scores.map((v) => -v).subarray(0, n),
  );
  return both((k) =>
    run(
      k,
      [],
      initial.byteLength,
      (_, out) => {
        k.weighTile(out + 32, n, out);
        k.weighTile(out + 32 + 4 * n, n, out);
      },
      { initial },
    ),
  );
}

export function setupOf(
  dim: number,
  bits: number,
  rule: ScaleRule,
  { seed = 7, centered = false, sketched = false } = {},
): Setup {
  const center = centered ? plainVectors(1, dim, 5) : undefined;
  const q = createQuantizer(seededRotation(dim, seed), bits, rule, center);
  return sketched ? { q, sketch: sketches(dim) } : { q };
}

/** Gaussian rows cost less to make than orthogonal ones, and kernels do not know the difference. */
const made = new Map<number, Sketch>();
function sketches(dim: number): Sketch {
  const sketch = made.get(dim) ?? createSketch("gaussian", dim, 7);
  made.set(dim, sketch);
  return sketch;
}

/** The whole contract for one dimension, `count` vectors per kernel. */
export function contract(dim: number, count: number): void {
  describe(`d = ${dim}, ${count} vectors per kernel`, () => {
    for (const which of ["rotate", "unrotate"] as const)
      test(which, () => {
        const setup = setupOf(dim, 4, "norm-matching");
        inChunks(count, (rows, seed) => checkRotation(setup, which, rows, seed));
      });
    for (const bits of [2, 3, 4]) {
      for (const rule of SCALE_RULES)
        test(`encode, ${bits} bits, ${rule}`, () => {
          const setup = setupOf(dim, bits, rule);
          inChunks(count, (rows, seed) => checkEncode(setup, rows, seed));
        });
      test(`encode, ${bits} bits, centred`, () => {
        const setup = setupOf(dim, bits, "unbiased", { centered: true });
        inChunks(count, (rows, seed) => checkEncode(setup, rows, seed));
      });
      test(`decode, decodeRotated, score, accumulate, ${bits} bits`, () => {
        const setup = setupOf(dim, bits, "unbiased", { centered: true });
        inChunks(count, (rows, seed) => checkDecode(setup, "decode", rows, seed));
        inChunks(count, (rows, seed) => checkDecode(setup, "decodeRotated", rows, seed));
        inChunks(count, (rows, seed) => checkScore(setup, rows, seed));
        inChunks(count, (rows, seed) => checkAccumulate(setup, rows, seed));
      });
    }
    for (const bits of [1, 5, 6, 7, 8])
      test(`all of it, ${bits} bits`, () => {
        const setup = setupOf(dim, bits, SCALE_RULES[bits % 3]!, { centered: bits % 2 === 0 });
        inChunks(count, (rows, seed) => checkEncode(setup, rows, seed));
        inChunks(count, (rows, seed) => checkDecode(setup, "decode", rows, seed));
        inChunks(count, (rows, seed) => checkScore(setup, rows, seed));
        inChunks(count, (rows, seed) => checkAccumulate(setup, rows, seed));
      });
    test("the sketch: encode, decode, score, accumulate, project", () => {
      const setup = setupOf(dim, 3, "norm-matching", { centered: true, sketched: true });
      inChunks(count, (rows, seed) => checkEncode(setup, rows, seed));
      inChunks(count, (rows, seed) => checkDecode(setup, "decode", rows, seed));
      inChunks(count, (rows, seed) => checkScore(setup, rows, seed));
      inChunks(count, (rows, seed) => checkAccumulate(setup, rows, seed));
      inChunks(count, (rows, seed) => checkProject(setup, rows, seed));
    });
    test("dotF32, accumulateF32", () => inChunks(count, (rows, seed) => checkDense(dim, rows, seed)));
    test("scaleMax, softmaxWeights", () => inChunks(count, (rows, seed) => checkSoftmax(rows, seed + dim)));
    test("weighTile", () => inChunks(count, (rows, seed) => checkWeighTile(rows, seed + dim)));
    for (const which of ["dotQ8", "dotQ4"] as const)
      test(which, () => inChunks(count, (rows, seed) => checkGgml(which, dim, rows, seed)));
  });
}
