// Spreads a dump over the workers that are there, and prints the verdict; exit 0 conforming, 1 faulty.
//   node examples/spread/submit.mjs --format llama/turbo4 --dim 128 --input x.f32 --packed fork.bin [--shares 16] [--redis URL]
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { Queue, QueueEvents } from "bullmq";
import { mergeShards, parseShard, verdictOf } from "turboquant-kv/oracle/dumps";
import { connection, QUEUE } from "./queue.mjs";

const text = { type: "string" };
const { values } = parseArgs({
  options: { format: text, dim: text, input: text, packed: text, decoded: text, shares: text, redis: text },
});
const { format, dim, shares = "16", redis } = values;
const files = Object.fromEntries(
  ["input", "packed", "decoded"].flatMap((name) => (values[name] ? [[name, resolve(values[name])]] : [])),
);
const dump = { format, dim: Number(dim), ...files };

const queue = new Queue(QUEUE, { connection: connection(redis) });
const events = new QueueEvents(QUEUE, { connection: connection(redis) });
try {
  await events.waitUntilReady();
  const n = Number(shares);
  const jobs = await queue.addBulk(
    Array.from({ length: n }, (_, i) => ({
      name: "share",
      data: { dump, share: [i + 1, n] },
      opts: { removeOnComplete: { age: 3600 }, removeOnFail: { age: 3600 } },
    })),
  );
  const answers = await Promise.all(jobs.map((job) => job.waitUntilFinished(events)));
  const verdict = verdictOf(mergeShards(answers.map((json, i) => parseShard(json, `share ${i + 1}`))));
  console.log(JSON.stringify(verdict, null, 2));
  process.exitCode = verdict.verdict === "faulty" ? 1 : 0;
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
} finally {
  await Promise.all([queue.close(), events.close()]);
}
