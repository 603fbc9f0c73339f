/** The program of a worker: takes units of published steps until it is told to end, and leaves the rest to others. */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { joinSharedWasm } from "../kernels/wasm.js";
import { BELL, LOOKS, MAIL, QUIT, SLEEPING, WORDS } from "./control.js";
import { Job } from "./job.js";
import { type Mail, READY, type WorkerStart } from "./messages.js";
import { WorkerShare } from "./worker-share.js";
import { WorkerSteps } from "./worker-steps.js";

const start = workerData as WorkerStart;
const { buffer } = start.shared.memory;
const control = new Int32Array(buffer, start.control, WORDS);
const job = new Job(buffer, start.job);
const share = new WorkerShare(control, job);
const steps = new WorkerSteps(joinSharedWasm(start.shared), job);
let received = 0;

/** Everything that was posted by now. */
function takeMail(): void {
  while (received < Atomics.load(control, MAIL)) {
    const next = receiveMessageOnPort(parentPort!);
    if (!next) continue;
    steps.take(next.message as Mail);
    received++;
  }
}

function sleep(bell: number): void {
  for (let look = 0; look < LOOKS; look++) if (Atomics.load(control, BELL) !== bell) return;
  Atomics.add(control, SLEEPING, 1);
  Atomics.wait(control, BELL, bell);
  Atomics.sub(control, SLEEPING, 1);
}

function serve(): void {
  while (Atomics.load(control, QUIT) === 0) {
    const bell = Atomics.load(control, BELL);
    takeMail();
    if (!share.open()) {
      sleep(bell);
      continue;
    }
    takeMail(); // what was posted before this step
    steps.run(share);
  }
}

parentPort!.postMessage(READY);
serve();
