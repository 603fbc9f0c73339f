// A prompt's cache, computed once, kept compressed on disk and brought back: keys and values of three layers of
// SmolLM2-135M over 1,024 tokens (fixtures/recordings), as tensors [1, heads, tokens, dim] of halves.
//   npm run build && node examples/prompt-cache.mjs
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exportPastKeyValues, importPastKeyValues, KvCache, loadCache, saveCache } from "turboquant-kv/cache";
import { readSafetensors } from "../dist/files/safetensors.js";

const LAYERS = [1, 13, 26];
const recording = fileURLToPath(
  new URL("../fixtures/recordings/smollm2-hound-kv.safetensors", import.meta.url),
);
const { tensors } = await readSafetensors(recording);

// What an inference session returns: `present.N.key`, `present.N.value`.
const present = {};
for (const [n, layer] of LAYERS.entries()) {
  for (const side of ["key", "value"]) {
    const { shape, data } = tensors.get(`layers.${layer}.${side}`);
    present[`present.${n}.${side}`] = { dims: [1, ...shape], data };
  }
}

const geometry = { layers: LAYERS.length, kvHeads: 3, heads: 9, headDim: 64, pageTokens: 32, pages: 64 };
const cache = new KvCache({ ...geometry, key: "turbo4", value: "turbo4" });
const prompt = importPastKeyValues(cache, present);

const folder = await mkdtemp(join(tmpdir(), "prompt-cache-"));
const path = join(folder, "prompt.kv");
await saveCache(path, cache, prompt);
const later = await loadCache(path);
const [seq] = later;
const past = exportPastKeyValues(later, seq, "float16"); // feeds the next session

const values = cache.length(prompt) * LAYERS.length * 2 * geometry.kvHeads * geometry.headDim;
console.log(`${cache.length(prompt)} tokens, ${LAYERS.length} layers`);
console.log(`f16 tensors    ${2 * values} bytes`);
console.log(`file           ${(await stat(path)).size} bytes`);
console.log(`compression    ${later.stats().compression.f16.toFixed(2)} times against f16`);
console.log(`brought back   ${Object.keys(past).join(", ")}`);

// And attention straight on the packed bytes, against the same over the uncompressed cache.
const plain = new KvCache({ ...geometry, key: "f32", value: "f32" });
const exact = importPastKeyValues(plain, present);
const rows = 9 * 64;
const query = Float32Array.from({ length: rows }, (_, i) => Math.sin(i));
const a = later.attend(seq, 1, query);
const b = plain.attend(exact, 1, query);
const error = Math.sqrt(a.reduce((s, v, i) => s + (v - b[i]) ** 2, 0) / b.reduce((s, v) => s + v * v, 0));
console.log(`attention      relative error ${error.toFixed(3)}`);
await rm(folder, { recursive: true });
