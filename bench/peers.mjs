// What a user would pick instead, where it is installed (this package does not depend on any of it):
//   ggml, as node-llama-cpp ships it, through koffi     npm install @node-llama-cpp/linux-x64
//   ONNX Runtime's WASM                                  npm install onnxruntime-web
// from here or from the directory that TURBOQUANT_PEERS names. The only npm package that mentions TurboQuant,
// @ruvector/ruvllm, is a native runtime of its own and exports no codec of keys and values to time.
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { KvCache } from "../dist/cache/index.js";
import { loadWasm } from "../dist/kernels/wasm.js";
import { attention64, normals, verify } from "./data.mjs";
import { onnxAttention } from "./onnx-attention.mjs";
import { ratio, time } from "./rounds.mjs";

const DIM = 128;
const TOKENS = 2048;
const from = createRequire(pathToFileURL(resolve(process.env.TURBOQUANT_PEERS ?? ".", "package.json")));

export const title = `Peers, dim ${DIM}, ${TOKENS} tokens: how many times as fast "fast" at 4 bits is`;
export const head = "";
export const line = ({ name, missing, median, low, high, unit, ratio: r }) =>
  missing
    ? `${name.padEnd(34)} not installed (${missing})`
    : `${name.padEnd(34)} ${median.toFixed(2).padStart(9)} ${unit} [${low.toFixed(2)}–${high.toFixed(2)}]  ${r.median.toFixed(2)} [${r.low.toFixed(2)}–${r.high.toFixed(2)}]`;

const found = (name) => {
  try {
    return from.resolve(name);
  } catch {
    return undefined;
  }
};

/** The newest instruction set that this processor has, as ggml itself scores its libraries. */
async function openGgml() {
  const { default: koffi } = await import("koffi").catch(() => ({}));
  const folder = (from.resolve.paths("@node-llama-cpp") ?? [])
    .map((path) => join(path, "@node-llama-cpp", "linux-x64", "bins", "linux-x64"))
    .find(existsSync);
  if (!folder || !koffi) return undefined;
  koffi.load(join(folder, "libggml-base.so"), { global: true });
  const libraries = readdirSync(folder)
    .filter((name) => /^libggml-cpu-.*\.so$/.test(name))
    .map((name) => koffi.load(join(folder, name)))
    .map((library) => ({ library, score: library.func("int ggml_backend_score()")() }))
    .sort((a, b) => b.score - a.score);
  const { library } = libraries[0];
  library.func("void ggml_cpu_init()")();
  return library;
}

/** Dot products of all rows as one long one, so that crossing into native code costs nothing. */
async function ggmlTasks() {
  const library = await openGgml();
  if (!library) return undefined;
  const n = TOKENS * DIM;
  const dot = (name) =>
    library.func(`void ${name}(int, _Out_ float *, size_t, void *, size_t, void *, size_t, int)`);
  const quantize = library.func("void quantize_row_q8_0(void *, void *, int64_t)");
  const x = normals(n, 1);
  const y = normals(n, 2).map((v, i) => v + x[i]); // a sum far from zero
  const [x8, y8] = [new Uint8Array((n * 34) / 32), new Uint8Array((n * 34) / 32)];
  quantize(x, x8, n);
  quantize(y, y8, n);
  const x4 = new Uint8Array((n * 18) / 32).map((_, i) => (i % 18 === 0 ? 0 : i % 18 === 1 ? 0x3c : 0x97));
  const sum = new Float32Array(1);
  const work = {
    "ggml f32 dot": [dot("ggml_vec_dot_f32"), x, y],
    "ggml q8_0 dot": [dot("ggml_vec_dot_q8_0_q8_0"), x8, y8],
    "ggml q4_0 dot": [dot("ggml_vec_dot_q4_0_q8_0"), x4, y8],
  };
  let want = 0;
  for (let i = 0; i < n; i++) want += x[i] * y[i];
  const tasks = {};
  for (const [name, [call, a, b]] of Object.entries(work)) {
    tasks[name] = () => call(n, sum, 0, a, 0, b, 0, 1);
    tasks[name]();
    if (name === "ggml f32 dot") verify(name, sum, [want], 1e-2);
    if (name === "ggml q8_0 dot") verify(name, sum, [want], 5e-2);
  }
  return tasks;
}

async function ownAttention(keys, values) {
  const shape = { layers: 1, kvHeads: 1, heads: 1, headDim: DIM, pageTokens: 32, pages: TOKENS / 32 };
  const backend = await loadWasm();
  const cache = new KvCache({ ...shape, key: "turbo4", value: "turbo4", precision: "fast", backend });
  const seq = cache.create();
  cache.append(seq, 0, keys, values);
  return { cache, seq };
}

export async function run(report) {
  const rows = [];
  const add = (row) => {
    rows.push(row);
    report(row);
  };
  const [keys, values, query] = [normals(TOKENS * DIM, 3), normals(TOKENS * DIM, 4), normals(DIM, 5)];
  const { cache, seq } = await ownAttention(keys, values);
  const out = new Float32Array(DIM);

  const ggml = await ggmlTasks();
  if (!ggml) add({ name: "ggml of node-llama-cpp", missing: "@node-llama-cpp/linux-x64 and koffi" });
  else {
    const scores = new Float32Array(TOKENS);
    const own = "turbo4 scores of a cache, fast";
    const tasks = { ...ggml, [own]: () => cache.score(seq, 0, 0, query, scores) };
    const timed = await time(tasks, TOKENS);
    for (const [name, t] of Object.entries(timed))
      add({ name, unit: "ns/key", ...t, ratio: ratio(t, timed[own]) });
  }

  const web = found("onnxruntime-web");
  if (!web) add({ name: "onnxruntime-web", missing: "onnxruntime-web" });
  else {
    const module = await import(pathToFileURL(web).href);
    const ort = module.InferenceSession ? module : module.default;
    ort.env.wasm.numThreads = 1;
    const session = await ort.InferenceSession.create(onnxAttention(keys, values, DIM), {
      executionProviders: ["wasm"],
    });
    const scaled = query.map((v) => v / Math.sqrt(DIM));
    const input = { q: new ort.Tensor("float32", scaled, [1, DIM]) };
    const said = await session.run(input);
    verify("onnxruntime-web", said.out.data, attention64(query, keys, values, DIM), 1e-5);
    const own = "turbo4 attention of a cache, fast";
    const timed = await time(
      {
        "onnxruntime-web attention, f32": () => session.run(input),
        [own]: () => void cache.attend(seq, 0, query, out),
      },
      1e3,
    );
    for (const [name, t] of Object.entries(timed))
      add({ name, unit: "µs", ...t, ratio: ratio(t, timed[own]) });
  }
  return rows;
}
