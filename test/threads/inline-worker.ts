/** A worker on the caller's own thread: does every unit of every step itself, so that what workers do can be seen. */
import type { Attention } from "../../src/attention/attend.js";
import type { ThreadedKernels } from "../../src/attention/threaded.js";
import { joinSharedWasm, loadSharedWasm } from "../../src/kernels/wasm.js";
import type { Mail } from "../../src/threads/messages.js";
import { Team } from "../../src/threads/team.js";
import { ThreadedAttention } from "../../src/threads/threaded-attention.js";
import { WorkerShare } from "../../src/threads/worker-share.js";
import { WorkerSteps } from "../../src/threads/worker-steps.js";

export interface InlineWorker extends ThreadedKernels {
  /** Units that it did. */
  readonly helped: number;
  /** Bytes of its own arena in use. */
  readonly workerBytes: number;
}

export async function inlineWorker(): Promise<InlineWorker> {
  const { kernels, shared } = await loadSharedWasm();
  const { arena } = kernels;
  const team = new Team(arena);
  const joined = joinSharedWasm(shared);
  const steps = new WorkerSteps(joined, team.job);
  const share = new WorkerShare(new Int32Array(arena.u8.buffer, team.control), team.job);
  team.add({
    threadId: 1,
    unref() {},
    once() {},
    postMessage: (mail: Mail) => steps.take(structuredClone(mail)),
    terminate: async () => 0,
  } as never);
  /** In the place of the caller's attention, which thus takes no unit. */
  const idle = {
    attend: () => {
      while (share.open()) steps.run(share);
    },
  } as unknown as Attention;
  let attentions = 0;
  return {
    ...kernels,
    threads: 2,
    openAttention: (_, codecs, recipe) =>
      new ThreadedAttention(team, arena, idle, codecs, attentions++, recipe),
    get helped() {
      return team.helped;
    },
    get workerBytes() {
      return joined.arena.usedBytes;
    },
  };
}
