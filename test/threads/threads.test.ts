/** Real threads: the same bits as one, with workers that come late, never begin, die or hang; and they let the process end. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import { KvCache } from "../../src/cache/index.js";
import { LEFT, WORDS } from "../../src/threads/control.js";
import { loadThreads, loadThreadsOf, type Threads } from "../../src/threads/index.js";
import { READY } from "../../src/threads/messages.js";
import { bitsOf, normals } from "../cache/vectors.js";

const PROGRAM = new URL("../../dist/threads/worker.js", import.meta.url);
const [HEADS, DIM, TOKENS] = [8, 64, 1100];
const shape = { layers: 1, kvHeads: HEADS, headDim: DIM, pageTokens: 16, pages: 80 };
const row = HEADS * DIM;
const [keys, values] = [normals(TOKENS * row, 1), normals(TOKENS * row, 2)];

function open(backend: Threads | "wasm", formats = { key: "turbo4", value: "turbo3" }) {
  const cache = new KvCache({ ...shape, ...formats, backend });
  const seq = cache.create();
  cache.append(seq, 0, keys, values);
  const out = new Float32Array(row);
  /** One step's bits. */
  const step = (seed: number): Uint32Array => bitsOf(cache.attend(seq, 0, normals(row, seed), out)).slice();
  return { cache, step };
}
const alone = open("wasm");
const WANT = Array.from({ length: 4 }, (_, seed) => alone.step(seed));

/** Steps until workers have done so many units more; on a busy machine they come late. */
async function helpedTo(
  backend: Threads,
  more: number,
  step: (seed: number) => Uint32Array,
): Promise<number> {
  const { helped } = backend;
  let steps = 0;
  for (; backend.helped - helped < more && steps < 20_000; steps++) {
    expect(step(steps % 4)).toEqual(WANT[steps % 4]);
    if (steps % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return steps;
}

const opened: Threads[] = [];
const load = async (program: URL, threads = 2): Promise<Threads> => {
  const backend = await loadThreadsOf(program, { threads });
  opened.push(backend);
  return backend;
};
afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all(opened.splice(0).map((backend) => backend.dispose()));
});

const HANG = "for (;;);";
/** A worker that says that it is ready, waits for a step, takes a unit of it, and then does `fate`. */
const doomed = (fate: string): URL =>
  new URL(
    `data:text/javascript,${encodeURIComponent(`
      import { parentPort, workerData } from "node:worker_threads";
      const words = new Int32Array(workerData.shared.memory.buffer, workerData.control, ${WORDS});
      parentPort.postMessage(${JSON.stringify(READY)});
      for (;;) {
        const left = Atomics.load(words, ${LEFT});
        if (left > 0 && Atomics.compareExchange(words, ${LEFT}, left, left - 1) === left) break;
      }
      ${fate}
    `)}`,
  );

describe("threads", () => {
  test.each([2, 3])("%i threads: the bits of one, until workers have done 200 heads", async (threads) => {
    const backend = await load(PROGRAM, threads);
    expect([backend.threads, backend.name]).toEqual([threads, "wasm-simd"]);
    const { cache, step } = open(backend);
    await helpedTo(backend, 200, step);
    expect(backend.helped).toBeGreaterThanOrEqual(200);
    expect(cache.backend).toBe("wasm-simd");
    cache.audit();
  });

  test("a short cache is not worth a thread", async () => {
    const backend = await load(PROGRAM);
    const { cache } = open(backend);
    const seq = cache.create();
    cache.append(seq, 0, keys.subarray(0, 100 * row), values.subarray(0, 100 * row));
    for (let i = 0; i < 200; i++) cache.attend(seq, 0, normals(row, i));
    expect(backend.helped).toBe(0);
  });

  test("snapshots of a shared memory are those of any other, and restore into it", async () => {
    const backend = await load(PROGRAM);
    const { cache, step } = open(backend);
    const bytes = cache.snapshot();
    expect(Buffer.compare(bytes, alone.cache.snapshot())).toBe(0);
    const restored = KvCache.restore(bytes, { backend });
    const [seq] = [...restored];
    expect(bitsOf(restored.attend(seq!, 0, normals(row, 0)))).toEqual(step(0));
  });

  test("after dispose the cache goes on with one thread", async () => {
    const backend = await load(PROGRAM);
    const { step } = open(backend);
    await helpedTo(backend, 20, step);
    await backend.dispose();
    await backend.dispose();
    expect(backend.threads).toBe(1);
    const { helped } = backend;
    for (let seed = 0; seed < 4; seed++) expect(step(seed)).toEqual(WANT[seed]);
    expect(backend.helped).toBe(helped);
  });
});

describe("without threads the same bits, from one", () => {
  const fallsBack = async (backend: Threads): Promise<void> => {
    const { step } = open(backend);
    for (let seed = 0; seed < 4; seed++) expect(step(seed)).toEqual(WANT[seed]);
    expect([backend.threads, backend.helped]).toEqual([1, 0]);
    await backend.dispose();
  };

  test("no SharedArrayBuffer", async () => {
    vi.stubGlobal("SharedArrayBuffer", undefined);
    await fallsBack(await load(PROGRAM));
  });
  test("one thread asked for", async () => fallsBack(await loadThreads({ threads: 1 })));
  test.each([
    ["is not there", new URL("file:///no/such/worker.js")],
    ["throws at once", new URL("data:text/javascript,throw new Error('no')")],
    ["ends at once", new URL("data:text/javascript,")],
    [
      "says something else",
      new URL("data:text/javascript,import{parentPort as p}from'worker_threads';p.postMessage(1)"),
    ],
  ])("a worker that %s", async (_, program) => fallsBack(await load(program)));
  test("a policy that forbids workers", async () => {
    const script = `
      import { loadThreads } from ${JSON.stringify(new URL("../../dist/threads/index.js", import.meta.url).href)};
      console.log((await loadThreads()).threads);`;
    const flags = ["--experimental-permission", "--allow-fs-read=*", "--input-type=module"];
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, "-e", script]);
    expect(stdout).toBe("1\n");
  });
});

describe("a worker that dies with a head in its hands: the caller does the step itself", () => {
  test.each([
    ["exits", "process.exit();"],
    ["throws", "throw new Error('no');"],
    ["hangs", HANG],
  ])("%s", async (_, fate) => {
    const backend = await load(doomed(fate));
    expect(backend.threads).toBe(2);
    const { cache, step } = open(backend);
    for (let i = 0; i < 400; i++) expect(step(i % 4)).toEqual(WANT[i % 4]);
    // That a worker has ended is seen when the caller's events are; one that hangs is left alone.
    if (fate !== HANG) await vi.waitFor(() => expect(backend.threads).toBe(1), { timeout: 60_000 });
    for (let seed = 0; seed < 4; seed++) expect(step(seed)).toEqual(WANT[seed]);
    expect(backend.helped).toBe(0);
    cache.audit();
    cache.dispose();
  });

  test("between steps", async () => {
    const backend = await load(
      new URL(
        `data:text/javascript,import{parentPort as p}from"worker_threads";p.postMessage("${READY}");setTimeout(()=>process.exit(),50)`,
      ),
    );
    expect(backend.threads).toBe(2);
    const { step } = open(backend);
    await vi.waitFor(() => expect(backend.threads).toBe(1), { timeout: 60_000 });
    for (let seed = 0; seed < 4; seed++) expect(step(seed)).toEqual(WANT[seed]);
  });
});

test("a process ends by itself while workers sleep", async () => {
  const [threads, cache] = ["threads", "cache"].map((entry) =>
    JSON.stringify(new URL(`../../dist/${entry}/index.js`, import.meta.url).href),
  );
  const script = `
    import { loadThreads } from ${threads};
    import { KvCache } from ${cache};
    const backend = await loadThreads();
    const cache = new KvCache({ ...${JSON.stringify(shape)}, key: "f32", value: "f32", backend });
    const seq = cache.create();
    const x = new Float32Array(${TOKENS * row}).fill(1);
    cache.append(seq, 0, x, x);
    console.log(backend.threads, cache.attend(seq, 0, x.subarray(0, ${row}))[0]);`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    timeout: 60_000,
  });
  expect(stdout).toBe("2 1\n");
});

test("arguments", async () => {
  await expect(loadThreads({ threads: 0 })).rejects.toThrow(RangeError);
  await expect(loadThreads({ threads: 65 })).rejects.toThrow('"threads" expected');
  await expect(loadThreads({ threads: "2" as never })).rejects.toThrow(TypeError);
});
