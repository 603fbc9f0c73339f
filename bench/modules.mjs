// What does not depend on tokens: the modules' start, and a step's latency in a cache that many share.
import { KvCache } from "../dist/cache/index.js";
import { KERNELS_BASE64 } from "../dist/kernels/embedded.generated.js";
import { ATTENTION_BASE64 } from "../dist/kernels/embedded-attention.generated.js";
import { loadWasm } from "../dist/kernels/wasm.js";
import { normals } from "./data.mjs";
import { ratio, time } from "./rounds.mjs";

const SHAPE = {
  layers: 1,
  kvHeads: 2,
  heads: 8,
  headDim: 128,
  pageTokens: 32,
  key: "turbo4",
  value: "turbo4",
};

export const title = "Modules and steps";
export const head = "";
export const line = ({ name, median, low, high, unit, ratio: r }) =>
  `${name.padEnd(28)} ${median.toFixed(3)} ${unit} [${low.toFixed(3)}–${high.toFixed(3)}]${r ? `   ${r.median.toFixed(2)} × alone` : ""}`;

function instantiate() {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
  for (const base64 of [KERNELS_BASE64, ATTENTION_BASE64])
    new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(base64, "base64")), { env: { memory } });
}

/** A step: one token appended, attended, and taken back. */
async function steps(report) {
  const row = SHAPE.kvHeads * SHAPE.headDim;
  const query = normals(SHAPE.heads * SHAPE.headDim, 3);
  const out = new Float32Array(query.length);
  const tasks = {};
  for (const [name, others, age] of [
    ["alone", 0, 0],
    ["decode among many", 1000, 0],
    ["decode in an old cache", 0, 20_000],
  ]) {
    const cache = new KvCache({ ...SHAPE, pages: 1400, backend: await loadWasm() });
    for (let i = 0; i < age; i++) {
      const old = cache.create();
      cache.append(old, 0, normals(row, 1), normals(row, 2));
      cache.free(old);
    }
    const prompt = cache.create();
    cache.append(prompt, 0, normals(1000 * row, 1), normals(1000 * row, 2));
    for (let i = 0; i < others; i++) {
      const other = cache.fork(prompt);
      if (i % 3 === 0) cache.append(other, 0, normals(row, 4), normals(row, 5));
    }
    const seq = cache.fork(prompt);
    const [key, value] = [normals(row, 6), normals(row, 7)];
    tasks[name] = () => {
      cache.append(seq, 0, key, value);
      cache.attend(seq, 0, query, out, { precision: "fast" });
      cache.truncate(seq, 1000);
    };
    tasks[name]();
  }
  const timed = await time(tasks, 1e3, { rounds: 7, milliseconds: 60 });
  const rows = Object.entries(timed).map(([name, t]) => ({
    name,
    unit: "µs",
    ...t,
    ratio: ratio(t, timed.alone),
  }));
  rows.forEach(report);
  return rows;
}

export async function run(report) {
  const { instantiate: t } = await time({ instantiate }, 1e6, { rounds: 5, milliseconds: 100 });
  const start = { name: "instantiate", unit: "ms", ...t };
  report(start);
  return [start, ...(await steps(report))];
}
