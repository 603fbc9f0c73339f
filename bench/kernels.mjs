// The two backends side by side: the same work on the same data, checked for equal bytes, then timed.

import { createSketch } from "../dist/core/qjl.js";
import { createQuantizer } from "../dist/core/quantizer.js";
import { SCALE_RULES } from "../dist/core/scale.js";
import { seededRotation } from "../dist/core/seeded-rotation.js";
import { createPlan } from "../dist/kernels/plan.js";
import { createReferenceKernels } from "../dist/kernels/reference.js";
import { loadWasm } from "../dist/kernels/wasm.js";
import { normals } from "./data.mjs";
import { ratio as ratioOf, time } from "./rounds.mjs";

const DIM = 128;
const ROWS = 512;

/** Memory of one backend for all the work below, and the work itself by name. */
function prepare(k, { bits, rule, sketch }) {
  const q = createQuantizer(seededRotation(DIM, 1), bits, rule);
  const plan = createPlan(k.arena, q, sketch ? createSketch("gaussian", DIM, 1) : undefined).pointer;
  const room = (values) => k.arena.allocate(4 * values);
  const x = room(ROWS * DIM);
  const turned = room(ROWS * DIM);
  const packed = room(ROWS * DIM);
  const halves = room(ROWS * DIM);
  const values = room(ROWS * DIM);
  const query = room(DIM);
  const weights = room(ROWS);
  const scores = room(ROWS);
  const sums = room(2 * DIM);
  for (const [at, n] of [
    [x, ROWS * DIM],
    [turned, ROWS * DIM],
    [query, DIM],
    [weights, ROWS],
  ])
    k.arena.f32.set(normals(n, 1), at >>> 2);
  k.encode(plan, x, ROWS, packed);
  k.f32ToF16(x, halves, ROWS * DIM);
  const q8 = halves; // any bytes are q8_0 and q4_0 blocks
  return {
    encode: { run: () => k.encode(plan, x, ROWS, packed), out: [packed, ROWS * 100] },
    decode: { run: () => k.decode(plan, packed, ROWS, values), out: [values, 4 * ROWS * DIM] },
    score: { run: () => k.score(plan, query, query, 0, packed, ROWS, scores), out: [scores, 4 * ROWS] },
    accumulate: {
      run: () => {
        k.arena.f32.fill(0, sums >>> 2, (sums >>> 2) + 2 * DIM);
        k.accumulate(plan, weights, packed, ROWS, sums);
      },
      out: [sums, 8 * DIM],
    },
    // Orthonormal: the values stay as large as they are, however often they turn.
    rotate: { run: () => k.rotate(plan, turned, ROWS), out: [turned, 4 * ROWS * DIM] },
    "f32 to f16": { run: () => k.f32ToF16(x, halves, ROWS * DIM), out: [halves, 2 * ROWS * DIM] },
    "f16 to f32": { run: () => k.f16ToF32(halves, values, ROWS * DIM), out: [values, 4 * ROWS * DIM] },
    "f32 dot": { run: () => k.dotF32(query, x, ROWS, DIM, scores), out: [scores, 4 * ROWS] },
    "q8_0 dot": { run: () => k.dotQ8(query, q8, ROWS, DIM, scores, sums), out: [scores, 4 * ROWS] },
    "q4_0 dot": { run: () => k.dotQ4(query, q8, ROWS, DIM, scores, sums), out: [scores, 4 * ROWS] },
    read: (at, bytes) => k.arena.u8.slice(at, at + bytes),
  };
}

/** Throws unless both leave the same bytes. */
function verify(name, reference, wasm) {
  reference[name].run();
  wasm[name].run();
  const want = reference.read(...reference[name].out);
  const got = wasm.read(...wasm[name].out);
  const at = want.findIndex((byte, i) => byte !== got[i]);
  if (at >= 0) throw new Error(`${name}: byte ${at} differs, ${want[at]} and ${got[at]}; no speed to report`);
}

/** → rows { name, reference, wasm, ratio }, ns per vector of 128. */
export async function run(report) {
  const k = { reference: createReferenceKernels(), wasm: await loadWasm() };
  const rows = [];
  const measure = async (label, name, reference, wasm) => {
    verify(name, reference, wasm);
    const timed = await time({ reference: reference[name].run, wasm: wasm[name].run }, ROWS);
    rows.push({ name: label, ...timed, ratio: ratioOf(timed.reference, timed.wasm) });
    report(rows.at(-1));
  };
  const both = (config) => [prepare(k.reference, config), prepare(k.wasm, config)];
  for (const bits of [2, 3, 4]) {
    for (const rule of SCALE_RULES)
      await measure(`encode ${bits} bits, ${rule}`, "encode", ...both({ bits, rule }));
    const pair = both({ bits, rule: "norm-matching" });
    for (const name of ["decode", "score", "accumulate"])
      await measure(`${name} ${bits} bits`, name, ...pair);
  }
  for (const bits of [1, 5, 8])
    await measure(`encode ${bits} bits, norm-matching`, "encode", ...both({ bits, rule: "norm-matching" }));
  const sketched = both({ bits: 3, rule: "norm-matching", sketch: true });
  for (const name of ["encode", "decode", "score"]) await measure(`${name} 3 bits + qjl`, name, ...sketched);
  const plain = both({ bits: 4, rule: "norm-matching" });
  for (const name of ["rotate", "f32 to f16", "f16 to f32", "f32 dot", "q8_0 dot", "q4_0 dot"])
    await measure(name, name, ...plain);
  return rows;
}

export const title = `kernels: ns per vector of ${DIM}, ${ROWS} vectors a call, WASM against the TypeScript reference`;

export const line = ({ name, reference, wasm, ratio }) =>
  `${name.padEnd(30)}${spread(reference)}${spread(wasm)}${ratio.median.toFixed(1).padStart(8)} x`;

const spread = ({ median, low, high }) =>
  `${median.toFixed(1).padStart(9)} ${`[${low.toFixed(0)}–${high.toFixed(0)}]`.padEnd(14)}`;

export const head = `${"".padEnd(30)}${"reference".padStart(9)}${"".padEnd(15)}${"wasm".padStart(9)}${"".padEnd(15)}${"ratio".padStart(8)}`;
