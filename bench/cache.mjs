// The cache: what operations cost as it grows, attention on packed bytes against f32, bytes of the process per token.
// Results are checked before anything is timed.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { KvCache } from "../dist/cache/index.js";
import { normals } from "./data.mjs";
import { time } from "./rounds.mjs";

const SHAPE = { layers: 1, kvHeads: 2, heads: 8, headDim: 128, pageTokens: 32 };
const ROW = SHAPE.kvHeads * SHAPE.headDim;
const LENGTHS = [1024, 8192, 32768];
const OPERATION_LENGTHS = [...LENGTHS, 131072];
const REPEATS = 16;
const PAIRS = [
  ["f32", "f32"],
  ["f16", "f16"],
  ["turbo4", "turbo4"],
  ["turbo3", "turbo3"],
  ["turbo2", "turbo2"],
];

export const title = `Cache: ${SHAPE.kvHeads} KV heads, ${SHAPE.heads} query heads, dim ${SHAPE.headDim}, pages of ${SHAPE.pageTokens}; one layer`;
export const head = "operation               tokens        µs [low–high]           against f32";
export const line = ({ operation, tokens, median, low, high, ratio, unit = "µs" }) =>
  `${operation.padEnd(22)} ${String(tokens).padStart(7)} ${median.toFixed(2).padStart(10)} ${unit} [${low.toFixed(2)}–${high.toFixed(2)}]${ratio === undefined ? "" : `   ${ratio.toFixed(2)}×`}`;

function fill(pair, tokens) {
  const [key, value] = pair;
  const pages = Math.ceil(tokens / SHAPE.pageTokens) + 8;
  const cache = new KvCache({ ...SHAPE, pages, key, value });
  const seq = cache.create();
  const chunk = 1024;
  for (let t = 0; t < tokens; t += chunk) {
    const n = Math.min(chunk, tokens - t) * ROW;
    cache.append(seq, 0, normals(n, 1 + t), normals(n, 2 + t));
  }
  return { cache, seq };
}

const micro = (rows) =>
  Object.fromEntries(
    Object.entries(rows).map(([k, { median, low, high }]) => [
      k,
      { median: median / 1e3, low: low / 1e3, high: high / 1e3 },
    ]),
  );

/** Append one token and take it back, fork and free, truncate over a page and refill: none may grow with length. */
async function operations(report) {
  const x = normals(ROW, 3);
  const page = normals(SHAPE.pageTokens * ROW, 4);
  const results = [];
  for (const tokens of OPERATION_LENGTHS) {
    const { cache, seq } = fill(["turbo4", "turbo4"], tokens);
    const before = cache.snapshot(seq).length;
    const tasks = {
      "append 1": () => {
        cache.append(seq, 0, x, x);
        cache.truncate(seq, tokens);
      },
      "fork, free": () => cache.free(cache.fork(seq)),
      "fork, truncate, free": () => {
        const child = cache.fork(seq);
        cache.truncate(child, tokens >> 1);
        cache.free(child);
      },
      "fork, append (COW)": () => {
        const child = cache.fork(seq);
        cache.append(child, 0, x, x);
        cache.free(child);
      },
      "truncate, append 32": () => {
        cache.truncate(seq, tokens - SHAPE.pageTokens);
        cache.append(seq, 0, page, page);
      },
    };
    for (const task of Object.values(tasks)) task();
    cache.audit();
    if (cache.snapshot(seq).length !== before) throw new Error("operations changed the cache's size");
    // Several at a time: one takes less than the clock tells apart.
    const repeated = Object.fromEntries(
      Object.entries(tasks).map(([name, task]) => [
        name,
        () => {
          for (let i = 0; i < REPEATS; i++) task();
        },
      ]),
    );
    const times = micro(await time(repeated, REPEATS, { rounds: 3 }));
    for (const [operation, t] of Object.entries(times)) {
      const row = { operation, tokens, ...t };
      results.push(row);
      report(row);
    }
    cache.dispose();
  }
  return results;
}

async function attention(report) {
  const query = normals(SHAPE.heads * SHAPE.headDim, 5);
  const out = new Float32Array(query.length);
  const results = [];
  for (const tokens of LENGTHS) {
    const caches = PAIRS.map((pair) => ({ name: pair.join("/"), ...fill(pair, tokens) }));
    const exact = caches[0].cache.attend(caches[0].seq, 0, query);
    for (const { name, cache, seq } of caches) {
      const got = cache.attend(seq, 0, query);
      const error = Math.sqrt(
        got.reduce((s, v, i) => s + (v - exact[i]) ** 2, 0) / exact.reduce((s, v) => s + v * v, 0),
      );
      if (!(error < 0.7)) throw new Error(`${name} attends with an error of ${error}`);
    }
    const tasks = Object.fromEntries(
      caches.map(({ name, cache, seq }) => [`attend ${name}`, () => cache.attend(seq, 0, query, out)]),
    );
    const times = micro(await time(tasks, 1, { rounds: 3, milliseconds: 200 }));
    const base = times["attend f32/f32"].median;
    for (const [operation, t] of Object.entries(times)) {
      const row = { operation, tokens, ...t, ratio: base / t.median };
      results.push(row);
      report(row);
    }
    for (const { cache } of caches) cache.dispose();
  }
  return results;
}

/** Growth of a process of its own against what stats() says: see cache-memory.mjs. */
function memory(report) {
  const program = fileURLToPath(new URL("./cache-memory.mjs", import.meta.url));
  return [
    ["turbo4", "turbo4"],
    ["turbo2", "turbo2"],
    ["f16", "f16"],
  ].map((pair) => {
    const said = execFileSync(process.execPath, ["--expose-gc", program, ...pair], { encoding: "utf8" });
    const { tokens, grown, counted } = JSON.parse(said);
    const row = {
      operation: `memory ${pair.join("/")}`,
      tokens,
      unit: "B/token, counted",
      median: grown,
      low: counted,
      high: counted,
      ratio: grown / counted,
    };
    report(row);
    return row;
  });
}

export async function run(report) {
  return [...memory(report), ...(await operations(report)), ...(await attention(report))];
}
