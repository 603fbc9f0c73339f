/** Workers that have begun, or none. */
import type { Worker } from "node:worker_threads";
import { READY, type WorkerStart } from "./messages.js";

/** As many of `count` workers as start; where there are no threads at all, none. */
export async function startWorkers(program: URL, count: number, start: WorkerStart): Promise<Worker[]> {
  const { Worker: Thread } = await import("#worker-threads");
  if (!Thread) return [];
  const started = Array.from({ length: count }, () =>
    startWorker(() => new Thread(program, { workerData: start })),
  );
  return (await Promise.all(started)).filter((worker) => worker !== undefined);
}

/** Undefined where it cannot be made (a policy may forbid it), or ends before it is ready. */
function startWorker(make: () => Worker): Promise<Worker | undefined> {
  return new Promise((resolve) => {
    try {
      const worker = make();
      worker.on("error", () => resolve(undefined)); // also later: what it threw is of no interest, its exit is
      worker.once("exit", () => resolve(undefined));
      worker.once("message", (message) => resolve(message === READY ? worker : undefined));
    } catch {
      resolve(undefined);
    }
  });
}
