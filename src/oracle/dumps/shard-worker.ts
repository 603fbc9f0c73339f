/** The thread of {@link verifyDump}: judges one range, sends how far it is (a number) and then what it knows. */
import { parentPort, workerData } from "node:worker_threads";
import { type RangeRequest, verifyRangeOf } from "./dump.js";

parentPort!.postMessage(
  await verifyRangeOf(workerData as RangeRequest, (done) => parentPort!.postMessage(done)),
);
