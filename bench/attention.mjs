// Attention and scores on packed bytes against plain f32, all in WASM: one head of keys and values of 128 dimensions.
import { KvCache } from "../dist/cache/index.js";
import { createQuantizer } from "../dist/core/quantizer.js";
import { seededRotation } from "../dist/core/seeded-rotation.js";
import { createPlan } from "../dist/kernels/plan.js";
import { createReferenceKernels } from "../dist/kernels/reference.js";
import { TILE_TOKENS } from "../dist/kernels/tile.js";
import { loadWasm } from "../dist/kernels/wasm.js";
import { attention64, normals, relativeRms, verify } from "./data.mjs";
import { ratio, time } from "./rounds.mjs";

const DIM = 128;
const QUERIES = 16;
const BOUNDS = { exact: 1e-6, precise: 3e-3, fast: 2e-2 };

async function fill(format, tokens, heads, backend, layers = 1) {
  const shape = { layers, kvHeads: 1, heads, headDim: DIM, pageTokens: 32, pages: tokens / 32 };
  const cache = new KvCache({ ...shape, key: format, value: format, backend: backend ?? (await loadWasm()) });
  const seq = cache.create();
  const chunk = 1024;
  for (let t = 0; t < tokens; t += chunk) {
    const n = Math.min(chunk, tokens - t) * DIM;
    const [keys, values] = [normals(n, 10 + t), normals(n, 11 + t)];
    for (let layer = 0; layer < layers; layer++) cache.append(seq, layer, keys, values);
  }
  return { cache, seq };
}

/** The strongest plain attention we know: keys, then values, in one piece each, and scores of a whole head at a time. */
async function plainAttention(keys, values, heads, out) {
  const k = await loadWasm();
  const tokens = keys.length / DIM;
  const [q, keysAt, valuesAt, scores, lanes, sums] = [
    heads * DIM,
    keys.length,
    values.length,
    tokens,
    4,
    DIM,
  ].map((n) => k.arena.allocate(4 * n));
  const { f32 } = k.arena;
  f32.set(keys, keysAt >>> 2);
  f32.set(values, valuesAt >>> 2);
  return (queries) => {
    f32.set(queries, q >>> 2);
    for (let head = 0; head < heads; head++) {
      k.dotF32(q + 4 * head * DIM, keysAt, tokens, DIM, scores);
      const most = k.scaleMax(scores, tokens, Math.fround(1 / Math.sqrt(DIM)));
      f32.fill(0, lanes >>> 2, (lanes >>> 2) + 4);
      f32.fill(0, sums >>> 2, (sums >>> 2) + DIM);
      k.softmaxWeights(scores, tokens, most, lanes);
      k.accumulateF32(scores, valuesAt, tokens, DIM, sums);
      let total = 0;
      for (let i = 0; i < 4; i++) total += f32[(lanes >>> 2) + i];
      for (let i = 0; i < DIM; i++) out[head * DIM + i] = f32[(sums >>> 2) + i] / total;
    }
  };
}

async function fused(tokens, heads, report) {
  // Several queries in turn: how fast "fast" is depends on a query's largest coordinate.
  const all = Array.from({ length: QUERIES }, (_, i) => normals(heads * DIM, 100 + i));
  const queries = all[0];
  const out = new Float32Array(queries.length);
  const f32 = await fill("f32", tokens, heads);
  const packed = await fill("turbo4", tokens, heads);
  const [keys, values] = ["key", "value"].map((side) => f32.cache.read(f32.seq, 0, side));
  const plain = await plainAttention(keys, values, heads, out);
  const work = {
    "f32, plain arrays": plain,
    "f32, paged cache": (q) => f32.cache.attend(f32.seq, 0, q, out),
  };
  for (const precision of ["fast", "precise", "exact"]) {
    const options = { precision };
    work[precision] = (q) => packed.cache.attend(packed.seq, 0, q, out, options);
  }

  const [kHat, vHat] = ["key", "value"].map((side) => packed.cache.read(packed.seq, 0, side));
  const wants = { f32: [keys, values], packed: [kHat, vHat] };
  const want = Object.fromEntries(
    Object.entries(wants).map(([name, [k, v]]) => [
      name,
      Float64Array.from({ length: heads }, (_, h) => h).reduce(
        (all, h) => {
          all.set(attention64(queries.subarray(h * DIM, (h + 1) * DIM), k, v, DIM), h * DIM);
          return all;
        },
        new Float64Array(heads * DIM),
      ),
    ]),
  );
  const errors = {};
  // All of them a call where that is quick: their mean, not the median one.
  const batch = tokens <= 2048 ? QUERIES : 1;
  const tasks = {};
  for (const [name, task] of Object.entries(work)) {
    let next = 0;
    tasks[name] = () => {
      for (let i = 0; i < batch; i++) task(all[next++ % QUERIES]);
    };
    task(queries);
    const isPlain = name.startsWith("f32");
    verify(name, out, isPlain ? want.f32 : want.packed, isPlain ? 1e-5 : BOUNDS[name]);
    errors[name] = relativeRms(out, isPlain ? want.f32 : want.packed);
  }
  const timed = await time(tasks, 1e3 * batch, { rounds: 7, milliseconds: tokens > 10_000 ? 150 : 80 });
  const bases = [timed["f32, plain arrays"], timed["f32, paged cache"]];
  const base = bases[0].median < bases[1].median ? bases[0] : bases[1];
  const rows = Object.entries(timed).map(([name, t]) => ({
    id: `attend ${name} ${heads}x${tokens}`,
    name: `attend, ${name}`,
    shape: `${heads} × ${tokens}`,
    unit: "µs",
    ...t,
    error: errors[name],
    ratio: ratio(base, t),
  }));
  rows.forEach(report);
  f32.cache.dispose();
  packed.cache.dispose();
  return rows;
}

/**
 * One layer after the other, as a step of a model has it: what a layer left in the caches of the machine is gone when its turn
 * comes again, unless all layers fit.
 */
async function layers(tokens, count, report) {
  const queries = Array.from({ length: QUERIES }, (_, i) => normals(DIM, 100 + i));
  const out = new Float32Array(DIM);
  const f32 = await fill("f32", tokens, 1, undefined, count);
  const packed = await fill("turbo4", tokens, 1, undefined, count);
  const [keys, values] = ["key", "value"].map((side) => f32.cache.read(f32.seq, 0, side));
  const plain = [];
  for (let layer = 0; layer < count; layer++) plain.push(await plainAttention(keys, values, 1, out));
  const step = (attend) => {
    let next = 0;
    return () => {
      const query = queries[next++ % QUERIES];
      for (let layer = 0; layer < count; layer++) attend(layer, query);
    };
  };
  const tasks = {
    "f32, plain arrays": step((layer, q) => plain[layer](q)),
    "f32, paged cache": step((layer, q) => f32.cache.attend(f32.seq, layer, q, out)),
  };
  for (const precision of ["fast", "precise"]) {
    const options = { precision };
    tasks[precision] = step((layer, q) => packed.cache.attend(packed.seq, layer, q, out, options));
  }
  const sides = ["key", "value"].map((side) => packed.cache.read(packed.seq, count - 1, side));
  for (const [name, task] of Object.entries(tasks)) {
    task();
    const isPlain = name.startsWith("f32");
    const [k, v] = isPlain ? [keys, values] : sides;
    verify(name, out, attention64(queries[0], k, v, DIM), isPlain ? 1e-5 : BOUNDS[name]);
  }
  const timed = await time(tasks, 1e3 * count, { rounds: 7, milliseconds: 150 });
  const [a, b] = [timed["f32, plain arrays"], timed["f32, paged cache"]];
  const rows = Object.entries(timed).map(([name, t]) => ({
    id: `layers ${name} ${tokens}`,
    name: `attend, ${name}, ${count} layers in turn`,
    shape: `1 × ${tokens}`,
    unit: "µs",
    ...t,
    ratio: ratio(a.median < b.median ? a : b, t),
  }));
  rows.forEach(report);
  f32.cache.dispose();
  packed.cache.dispose();
  return rows;
}

/** The reference, for scale: the same attention, slowly, the same bits. */
async function againstReference(report) {
  const tokens = 1024;
  const query = normals(DIM, 5);
  const out = new Float32Array(DIM);
  const tasks = {};
  const outputs = {};
  for (const [name, backend] of [
    ["reference", createReferenceKernels()],
    ["wasm", await loadWasm()],
  ]) {
    const { cache, seq } = await fill("turbo4", tokens, 1, backend);
    tasks[name] = () => cache.attend(seq, 0, query, out, { precision: "fast" });
    tasks[name]();
    outputs[name] = out.slice();
  }
  verify("wasm against the reference", outputs.wasm, outputs.reference, 0);
  const timed = await time(tasks, 1e3, { rounds: 3, milliseconds: 100 });
  const row = {
    id: "attend reference",
    name: "attend, fast: TypeScript against WASM",
    shape: `1 × ${tokens}`,
    unit: "µs",
    ...timed.wasm,
    ratio: ratio(timed.reference, timed.wasm),
  };
  report(row);
  return [row];
}

/** Scores of one query, what its preparation costs included. */
async function scores(tokens, report) {
  const k = await loadWasm();
  const room = (bytes) => k.arena.allocate(bytes);
  const x = room(4 * tokens * DIM);
  k.arena.f32.set(normals(tokens * DIM, 7), x >>> 2);
  const [query, turned, out, work] = [4 * DIM, 4 * DIM, 4 * tokens, 2 * DIM].map(room);
  k.arena.f32.set(normals(DIM, 8), query >>> 2);
  const tasks = { "f32 dot": () => k.dotF32(query, x, tokens, DIM, out) };
  const blocks = { "q8_0 dot": [34, k.dotQ8], "q4_0 dot": [18, k.dotQ4] };
  for (const [name, [bytes, dot]] of Object.entries(blocks)) {
    const size = (tokens * DIM * bytes) / 32;
    const rows = room(size);
    const random = normals(size, 9);
    for (let i = 0; i < size; i++) k.arena.u8[rows + i] = 64 * random[i];
    for (let at = rows; at < rows + size; at += bytes) k.arena.u8.set([0, 0x3c], at); // d = 1
    tasks[name] = () => dot(query, rows, tokens, DIM, out, work);
  }
  for (const bits of [4, 3, 2, 1]) {
    const plan = createPlan(k.arena, createQuantizer(seededRotation(DIM, 1), bits, "norm-matching")).pointer;
    const stride = 2 + (DIM * bits) / 8;
    const packed = room(tokens * stride);
    const tiles = room(tokens * stride);
    const list = room(tokens / 4);
    k.encode(plan, x, tokens, packed);
    for (let t = 0; t < tokens; t += TILE_TOKENS) {
      k.tileKeys(plan, packed + t * stride, stride, 0, TILE_TOKENS, tiles + t * stride);
      k.arena.u32[(list >>> 2) + t / TILE_TOKENS] = tiles + t * stride;
    }
    const tables = room(64 + 48 * DIM);
    const prepare = () => {
      k.arena.f32.copyWithin(turned >>> 2, query >>> 2, (query >>> 2) + DIM);
      k.rotate(plan, turned, 1);
    };
    const run = (make, score) => () => {
      prepare();
      make(plan, turned, turned, tables);
      score(plan, tables, list, tokens / TILE_TOKENS, out);
    };
    tasks[`${bits} bits, fast`] = run(k.prepareTables8, k.scoreTables8);
    tasks[`${bits} bits, precise`] = run(k.prepareTables16, k.scoreTables16);
    prepare();
    k.score(plan, turned, turned, 0, packed, tokens, out);
    const exact = k.arena.floats(out, tokens).slice();
    for (const [mode, most] of Object.entries({ fast: 3e-2, precise: 3e-3 })) {
      tasks[`${bits} bits, ${mode}`]();
      verify(`${bits} bits, ${mode}`, k.arena.floats(out, tokens), exact, most);
    }
  }
  const timed = await time(tasks, tokens, { rounds: 7, milliseconds: 50 });
  const rows = Object.entries(timed).map(([name, t]) => ({
    id: `score ${name} ${tokens}`,
    name: `score, ${name}`,
    shape: `${tokens}`,
    unit: "ns/key",
    ...t,
    ratio: ratio(timed["f32 dot"], t),
    ...(name === "4 bits, fast" && {
      overQ8: ratio(timed["q8_0 dot"], t),
      overQ4: ratio(timed["q4_0 dot"], t),
    }),
  }));
  rows.forEach(report);
  return rows;
}

export const title = "Attention and scores, dim 128, one head of keys and values, WASM; ratios to f32";
export const head =
  "                                          heads × tokens        median [low–high]       ratio to f32    error";
export const line = ({ name, shape, unit, median, low, high, ratio: r, error }) =>
  `${name.padEnd(46)} ${shape.padStart(10)} ${median.toFixed(2).padStart(10)} ${unit} [${low.toFixed(2)}–${high.toFixed(2)}]  ${r.median.toFixed(2)} [${r.low.toFixed(2)}–${r.high.toFixed(2)}]${error === undefined ? "" : `  ${error.toExponential(1)}`}`;

export async function run(report) {
  const rows = [];
  for (const tokens of [2048, 8192]) rows.push(...(await scores(tokens, report)));
  for (const [tokens, heads] of [
    [1024, 1],
    [8192, 1],
    [32768, 1],
    [8192, 8],
  ])
    rows.push(...(await fused(tokens, heads, report)));
  rows.push(...(await layers(8192, 8, report)));
  rows.push(...(await againstReference(report)));
  return rows;
}
