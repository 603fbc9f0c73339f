/**
 * Threads that run pieces of one kernel at a time over a shared memory.
 *
 * One job: the caller writes it down, raises GENERATION, works along, and waits until every worker has
 * acknowledged. Workers draw pieces of the range from NEXT. Both sides look for a while before they sleep: jobs
 * follow one another within microseconds.
 */
import { Worker } from "node:worker_threads";

/** Words of the control block. */
const GENERATION = 0;
const NEXT = 1;
const DONE = 2;
const FAILED = 3;
const QUIT = 4;
const WORDS = 8;
/** Numbers of a job: kernel, end, piece, count of arguments, arguments, one scratch per thread. */
const MAX_NUMBERS = 64;
const KERNELS = ["matmul", "attend"] as const;
type Kernel = (...args: number[]) => void;

interface WorkerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: Int32Array;
  readonly job: Float64Array;
  readonly names: readonly string[];
  readonly thread: number;
}

export interface KernelPool {
  readonly threads: number;
  run(
    kernel: (typeof KERNELS)[number],
    end: number,
    piece: number,
    args: readonly number[],
    scratch: readonly number[],
  ): void;
  close(): Promise<void>;
}

/**
 * What a worker does. Its text is the worker's program (no file to find, whatever bundles or runs us), so it may
 * use nothing but its arguments and globals.
 */
function work({ parentPort, workerData }: typeof import("node:worker_threads")): void {
  const { module, memory, control, job, names, thread } = workerData as WorkerData;
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const kernels = names.map((name) => exports[name] as Kernel);
  let seen = 0;
  parentPort!.postMessage("ready");
  for (;;) {
    for (let look = 0; look < 20_000 && Atomics.load(control, 0) === seen; look++);
    Atomics.wait(control, 0, seen);
    seen = Atomics.load(control, 0);
    if (Atomics.load(control, 4) === 1) return;
    try {
      const [kernel, end, piece, count] = job as unknown as [number, number, number, number];
      const args = job.slice(4, 4 + count);
      const scratch = job[4 + count + thread]!;
      for (let begin = Atomics.add(control, 1, piece); begin < end; begin = Atomics.add(control, 1, piece))
        kernels[kernel]!(begin, Math.min(begin + piece, end), ...args, scratch);
    } catch {
      Atomics.store(control, 3, 1);
    }
    Atomics.add(control, 2, 1);
    Atomics.notify(control, 2);
  }
}

const program = `(${work.toString()})(require("node:worker_threads"))`;

/** Resolves when the worker can take jobs; rejects when it cannot be started. */
function startWorker(workerData: WorkerData): Promise<Worker> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(program, { eval: true, workerData });
    worker.once("error", reject);
    worker.once("message", () => {
      worker.off("error", reject);
      worker.unref();
      resolve(worker);
    });
  });
}

/** exports: this thread's instance of `module`. threads: this one included; fewer where workers do not start. */
export async function startPool(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  exports: WebAssembly.Exports,
  threads: number,
): Promise<KernelPool> {
  const control = new Int32Array(new SharedArrayBuffer(4 * WORDS));
  const job = new Float64Array(new SharedArrayBuffer(8 * MAX_NUMBERS));
  const workers: Worker[] = [];
  for (let thread = 1; thread < threads; thread++) {
    const data = { module, memory, control, job, names: KERNELS, thread };
    const worker = await startWorker(data).catch(() => undefined);
    if (!worker) break;
    workers.push(worker);
  }
  let closed = false;

  return {
    threads: workers.length + 1,

    run(kernel, end, piece, args, scratch) {
      if (closed) throw new Error("the model is closed");
      const own = exports[kernel] as Kernel;
      if (workers.length === 0 || end <= piece) {
        for (let begin = 0; begin < end; begin += piece)
          own(begin, Math.min(begin + piece, end), ...args, scratch[0]!);
        return;
      }
      job.set([KERNELS.indexOf(kernel), end, piece, args.length, ...args, ...scratch]);
      Atomics.store(control, NEXT, 0);
      Atomics.store(control, DONE, 0);
      Atomics.add(control, GENERATION, 1);
      Atomics.notify(control, GENERATION);
      for (
        let begin = Atomics.add(control, NEXT, piece);
        begin < end;
        begin = Atomics.add(control, NEXT, piece)
      )
        own(begin, Math.min(begin + piece, end), ...args, scratch[0]!);
      for (let look = 0; look < 20_000 && Atomics.load(control, DONE) < workers.length; look++);
      for (let done = Atomics.load(control, DONE); done < workers.length; done = Atomics.load(control, DONE))
        Atomics.wait(control, DONE, done);
      if (Atomics.load(control, FAILED) === 1) throw new Error(`a worker failed in ${kernel}`);
    },

    async close() {
      if (closed) return;
      closed = true;
      Atomics.store(control, QUIT, 1);
      Atomics.add(control, GENERATION, 1);
      Atomics.notify(control, GENERATION);
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
