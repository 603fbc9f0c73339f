// A decode step of attention over two threads against one, 128 dimensions, 4 bits. Only with the second core free is there anything
// to gain: `helped` is the share of heads (or parts of heads) that the worker came to do, half of them at best.
import { KvCache } from "../dist/cache/index.js";
import { loadWasm } from "../dist/kernels/wasm.js";
import { loadThreads } from "../dist/threads/index.js";
import { normals, verify } from "./data.mjs";
import { ratio, time } from "./rounds.mjs";

const DIM = 128;
/** [id, query heads, heads of keys, tokens, precision] */
const SHAPES = [
  ["two threads", 8, 8, 8192, "fast"],
  ["two threads, precise", 8, 8, 8192, "precise"],
  ["two threads, exact", 8, 8, 8192, "exact"],
  ["two threads, 2 heads of keys", 8, 2, 8192, "fast"],
  ["two threads, 1 head of keys", 8, 1, 8192, "fast"],
  ["two threads, 1k", 8, 8, 1024, "fast"],
  ["two threads, 512", 8, 8, 512, "fast"],
];

function fill(kvHeads, heads, tokens, backend) {
  const shape = { layers: 1, kvHeads, heads, headDim: DIM, pageTokens: 32, pages: tokens / 32 };
  const cache = new KvCache({ ...shape, key: "turbo4", value: "turbo4", backend });
  const seq = cache.create();
  for (let t = 0; t < tokens; t += 512) {
    const n = 512 * kvHeads * DIM;
    cache.append(seq, 0, normals(n, 10 + t), normals(n, 11 + t));
  }
  return { cache, seq };
}

async function compare([id, heads, kvHeads, tokens, precision], report) {
  const threads = await loadThreads({ threads: 2 });
  const one = fill(kvHeads, heads, tokens, await loadWasm());
  const two = fill(kvHeads, heads, tokens, threads);
  const queries = normals(heads * DIM, 5);
  const [want, got] = [new Float32Array(queries.length), new Float32Array(queries.length)];
  let steps = 0;
  const tasks = {
    one: () => one.cache.attend(one.seq, 0, queries, want, { precision }),
    two: () => {
      two.cache.attend(two.seq, 0, queries, got, { precision });
      steps++;
    },
  };
  tasks.one();
  for (let i = 0; i < 20; i++) {
    tasks.two();
    verify(id, got, want, 0);
  }
  const before = { steps, helped: threads.helped };
  const timed = await time(tasks, 1e3, { rounds: 11, milliseconds: 60 });
  const units = kvHeads === 1 ? 2 : kvHeads;
  const row = {
    id,
    name: `attend, ${precision}`,
    shape: `${heads} on ${kvHeads} × ${tokens}`,
    unit: "µs",
    ...timed.two,
    one: timed.one,
    ratio: ratio(timed.one, timed.two),
    helped: (threads.helped - before.helped) / (units * (steps - before.steps)),
  };
  report(row);
  one.cache.dispose();
  two.cache.dispose();
  await threads.dispose();
  return row;
}

export const title = "Attention over two threads against one, dim 128, turbo4 keys and values; the same bits";
export const head =
  "                    heads on heads of keys × tokens    two: median [low–high]     one / two      helped";
export const line = ({ name, shape, median, low, high, unit, ratio: r, helped }) =>
  `${name.padEnd(22)} ${shape.padStart(28)} ${median.toFixed(1).padStart(10)} ${unit} [${low.toFixed(1)}–${high.toFixed(1)}]  ${r.median.toFixed(2)} [${r.low.toFixed(2)}–${r.high.toFixed(2)}]  ${(100 * helped).toFixed(0)} %`;

export async function run(report) {
  const rows = [];
  for (const shape of SHAPES) rows.push(await compare(shape, report));
  return rows;
}
