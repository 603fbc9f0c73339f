/** Workers that have begun, or none. */
import type { Worker } from "node:worker_threads";
import { READY, type WorkerStart } from "./messages.js";

/** Milliseconds in which a worker must be ready. */
const PATIENCE = 10_000;

/** As many of `count` workers as start; where there are no threads at all, none. */
export async function startWorkers(program: URL, count: number, workerData: WorkerStart): Promise<Worker[]> {
  const Thread = await import("#worker-threads").then(
    ({ Worker }) => Worker,
    () => undefined,
  );
  if (!Thread) return [];
  // The process' own flags may say what to run instead.
  const make = (): Worker => new Thread(program, { workerData, execArgv: [] });
  const started = await Promise.all(Array.from({ length: count }, () => startWorker(make)));
  return started.filter((worker) => worker !== undefined);
}

/** Undefined where it cannot be made (a policy may forbid it), ends before it is ready, or says something else or nothing. */
function startWorker(make: () => Worker): Promise<Worker | undefined> {
  return new Promise((resolve) => {
    let worker: Worker;
    try {
      worker = make();
    } catch {
      return resolve(undefined);
    }
    const settle = (ready: boolean): void => {
      clearTimeout(timer);
      resolve(ready ? worker : undefined);
      if (!ready) void worker.terminate();
    };
    const timer = setTimeout(settle, PATIENCE, false);
    worker.once("message", (message) => settle(message === READY));
    worker.once("exit", () => settle(false));
    worker.on("error", () => {}); // what it threw is of no interest, its exit is; also later
  });
}
