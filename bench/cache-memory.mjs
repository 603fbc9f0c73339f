// node --expose-gc bench/cache-memory.mjs KEY VALUE: what a process grows by per cached token, and what stats() counts.
import { KvCache } from "../dist/cache/index.js";
import { randomStream } from "../dist/core/random.js";

const [key, value] = process.argv.slice(2);
const TOKENS = 393216;
const CHUNK = 1024;
const cache = new KvCache({
  layers: 1,
  kvHeads: 2,
  headDim: 128,
  pageTokens: 32,
  pages: TOKENS / 32,
  key,
  value,
});
const seq = cache.create();
const stream = randomStream(7, "bench");
const x = Float32Array.from({ length: CHUNK * 256 }, () => stream.normal());

const measure = () => {
  globalThis.gc();
  const { resident, metadata } = cache.stats().bytes;
  return { process: process.memoryUsage.rss(), counted: resident + metadata };
};
const warm = 32 * CHUNK;
for (let t = 0; t < warm; t += CHUNK) cache.append(seq, 0, x, x);
const start = measure();
for (let t = warm; t < TOKENS; t += CHUNK) cache.append(seq, 0, x, x);
const end = measure();
const tokens = TOKENS - warm;
console.log(
  JSON.stringify({
    tokens,
    grown: (end.process - start.process) / tokens,
    counted: (end.counted - start.counted) / tokens,
  }),
);
