// Checks shares of dumps, as many at a time as there are threads, until it is told to stop. Start one on every machine; all
// of them see the dump under the same path (a shared file system).
//   node examples/spread/worker.mjs [--redis redis://127.0.0.1:6379] [--threads 2]
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Worker } from "bullmq";
import { connection, LOCK_MS, QUEUE } from "./queue.mjs";

const { values } = parseArgs({
  options: { redis: { type: "string" }, threads: { type: "string", default: `${availableParallelism()}` } },
});

// A share keeps its thread busy, so it runs beside the loop that renews its lock: a worker that dies stops renewing,
// and another one gets its share.
const worker = new Worker(QUEUE, new URL("./share.mjs", import.meta.url), {
  connection: connection(values.redis),
  concurrency: Number(values.threads),
  useWorkerThreads: true,
  lockDuration: LOCK_MS,
  stalledInterval: LOCK_MS,
  maxStalledCount: 3,
});
worker.on("ready", () => console.log("ready"));
worker.on("active", ({ data }) => console.log(`share ${data.share.join("/")}`));
worker.on("failed", (job, error) =>
  console.log(`share ${job?.data.share.join("/")} failed: ${error.message}`),
);
worker.on("error", (error) => console.error(error.message));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => worker.close());
