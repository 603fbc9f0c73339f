// Trellis codes and centred keys: encoding against the scalar code of the same bits, scores and sums of values against the
// look-up kernel of 4 bits, attention with centring against attention without, each against what is asked of it. Encoded
// bytes, scores and sums are compared with the reference's before anything is timed.
import { KvCache } from "../dist/cache/index.js";
import { randomStream } from "../dist/core/random.js";
import { ownQuantizer, ownShape } from "../dist/formats/own-quantizer.js";
import { createPlan, vectorLayout } from "../dist/kernels/plan.js";
import { createReferenceKernels } from "../dist/kernels/reference.js";
import { loadWasmSync } from "../dist/kernels/wasm.js";
import { time } from "./rounds.mjs";

const DIM = 128;
const ROWS = 512;
const NAMES = ["trellis1", "trellis2", "trellis3", "trellis2x", "trellis3x", "trellis4x"];
const SCALARS = ["turbo1", "turbo2", "turbo3", "turbo4"];
const CACHE_TOKENS = 8192;

const normals = (n, seed) => {
  const stream = randomStream(seed, "bench");
  return Float32Array.from({ length: n }, () => stream.normal());
};

export const title = `Trellis codes and centring, dim ${DIM}`;
export const head =
  "work                        of                     ns [low–high]        ratio (most asked)";
export const line = ({ work, name, median, low, high, ratio, most }) =>
  `${work.padEnd(27)} ${name.padEnd(20)} ${median.toFixed(1).padStart(9)} [${low.toFixed(1)}–${high.toFixed(1)}]${ratio === undefined ? "" : `   ${ratio.toFixed(2)} (${most ?? "–"})`}`;

/** A format's vectors in a backend's memory, and its kernels as tasks. */
function open(kernels, name, rows) {
  const shape = ownShape(name);
  const { arena } = kernels;
  const quantizer = ownQuantizer(shape, { dim: DIM, seed: 0, side: "key" });
  const plan = createPlan(arena, quantizer, undefined, shape.trellis?.window).pointer;
  const { stride } = vectorLayout(DIM, shape.bits, 0);
  const place = (x) => {
    const at = arena.allocate(x.byteLength);
    arena.f32.set(x, at >>> 2);
    return at;
  };
  const [x, query, weights] = [normals(rows * DIM, 1), normals(DIM, 2), normals(rows, 3)].map(place);
  const [scores, sums] = [new Float32Array(rows), new Float32Array(DIM)].map(place);
  const bytes = arena.allocate(rows * stride);
  return {
    encode: () => kernels.encode(plan, x, rows, bytes),
    score: () => kernels.score(plan, query, 0, 0, bytes, rows, scores),
    sum: () => {
      arena.f32.fill(0, sums >>> 2, (sums >>> 2) + DIM);
      kernels.accumulate(plan, weights, bytes, rows, sums);
    },
    made: () => [
      ...arena.bytes(bytes, rows * stride),
      ...arena.u32.subarray(scores >>> 2, (scores >>> 2) + rows),
      ...arena.u32.subarray(sums >>> 2, (sums >>> 2) + DIM),
    ],
  };
}

function verify(name) {
  const made = [loadWasmSync(), createReferenceKernels()].map((kernels) => {
    const vectors = open(kernels, name, 8);
    vectors.encode();
    vectors.score();
    vectors.sum();
    return vectors.made().join();
  });
  if (made[0] !== made[1]) throw new Error(`${name}: WASM and the reference differ`);
}

/** One row for each name: its times, and their ratio to those of `against(name)`. */
function rowsOf(work, times, against, most) {
  return Object.entries(times).map(([name, t]) => {
    const base = against(name);
    return base === undefined
      ? { work, name, ...t }
      : { work, name, ...t, ratio: t.low / times[base].low, most: most(name) };
  });
}

async function kernels(report) {
  const backend = loadWasmSync();
  const all = Object.fromEntries([...SCALARS, ...NAMES].map((name) => [name, open(backend, name, ROWS)]));
  for (const { encode } of Object.values(all)) encode();
  const tasks = (kind) => Object.fromEntries(Object.entries(all).map(([name, v]) => [name, v[kind]]));
  const isTrellis = (name) => name.startsWith("trellis");
  const results = [
    ...rowsOf(
      "encode a vector",
      await time(tasks("encode"), ROWS),
      (name) => (isTrellis(name) ? `turbo${name[7]}` : undefined),
      (name) => (name.endsWith("x") ? 45 : 12),
    ),
    ...rowsOf(
      "score of a key",
      await time(tasks("score"), ROWS),
      (name) => (isTrellis(name) ? "turbo4" : undefined),
      () => 1.5,
    ),
    ...rowsOf(
      "value to a sum",
      await time(tasks("sum"), ROWS),
      (name) => (isTrellis(name) ? "turbo4" : undefined),
      () => undefined,
    ),
  ];
  results.forEach(report);
  return results;
}

/** attend of one query with all heads over CACHE_TOKENS tokens, keys centred or not. */
async function centred(report) {
  const shape = { layers: 1, kvHeads: 2, heads: 8, headDim: DIM, pageTokens: 32, pages: CACHE_TOKENS / 32 };
  const row = shape.kvHeads * DIM;
  const rope = { pairing: "half-split", dimensions: DIM, theta: 10_000, scaling: { type: "none" } };
  const center = { means: normals(row, 4), rope };
  const queries = normals(shape.heads * DIM, 5);
  const out = new Float32Array(queries.length);
  const results = [];
  for (const format of ["turbo4", "turbo2", "trellis3", "trellis3x"])
    for (const precision of ["exact", "precise", "fast"]) {
      if (precision !== "exact" && format.startsWith("trellis")) continue;
      const tasks = {};
      for (const [name, options] of [
        [`${format} ${precision}`, {}],
        [`${format} ${precision}, centred`, { center }],
      ]) {
        const cache = new KvCache({ ...shape, ...options, key: format, value: format });
        const seq = cache.create();
        for (let t = 0; t < CACHE_TOKENS; t += 1024)
          cache.append(seq, 0, normals(1024 * row, t), normals(1024 * row, t + 1));
        tasks[name] = () => cache.attend(seq, 0, queries, out, { precision });
      }
      const [plain] = Object.keys(tasks);
      const times = await time(tasks, CACHE_TOKENS, { milliseconds: 300 });
      const rows = rowsOf(
        "attention, a token of 8,192",
        times,
        (name) => (name === plain ? undefined : plain),
        () => 1.35,
      );
      rows.forEach(report);
      results.push(...rows);
    }
  return results;
}

export async function run(report) {
  NAMES.forEach(verify);
  return { kernels: await kernels(report), centred: await centred(report) };
}
