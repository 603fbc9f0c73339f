/**
 * turboquant-kv/threads: attention over threads. `loadThreads` gives a backend for `KvCache` whose memory worker threads
 * share: `attend` is called as ever, and returns when the step is done, but heads are spread over threads. The result is
 * the same to the bit. Where there are no threads (browsers, no SharedArrayBuffer, workers that do not start, or that died)
 * the backend computes alone.
 * @module
 */
import type { Attention } from "../attention/attend.js";
import type { SideCodec } from "../attention/side-codec.js";
import type { AttentionRecipe, ThreadedKernels } from "../attention/threaded.js";
import { assertInteger } from "../core/check.js";
import { loadSharedWasm, loadWasm } from "../kernels/wasm.js";
import { startWorkers } from "./start-workers.js";
import { Team } from "./team.js";
import { ThreadedAttention } from "./threaded-attention.js";

const MOST_THREADS = 64;

/** What `loadThreads` takes. */
export interface ThreadsOptions {
  /** Threads that compute, the caller's included: 1 … 64. Default 2. */
  readonly threads?: number;
}

/** A WASM backend whose steps of attention run on several threads. */
export interface Threads extends ThreadedKernels {
  /** Heads of steps, or parts of them, that workers have done so far. */
  readonly helped: number;
  /** Ends the workers; caches of this backend go on with one thread. */
  dispose(): Promise<void>;
}

/**
 * A new backend with a memory and workers of its own: one worker less than `threads`. Workers do not keep the process alive.
 * @throws TypeError, RangeError for a number of threads out of range; Error where the engine has no WebAssembly with SIMD.
 */
export const loadThreads = (options: ThreadsOptions = {}): Promise<Threads> =>
  loadThreadsOf(new URL("./worker.js", import.meta.url), options);

/**
 * The same with the workers' program from elsewhere.
 * @internal
 */
export async function loadThreadsOf(program: URL, { threads = 2 }: ThreadsOptions = {}): Promise<Threads> {
  assertInteger(threads, "threads", 1, MOST_THREADS);
  return (threads > 1 && (await withWorkers(program, threads - 1))) || alone();
}

/** Undefined where not even one worker starts. */
async function withWorkers(program: URL, count: number): Promise<Threads | undefined> {
  if (typeof SharedArrayBuffer === "undefined") return undefined;
  const { kernels, shared } = await loadSharedWasm();
  const { arena } = kernels;
  const team = new Team(arena);
  const start = { shared, control: team.control, job: team.jobAt };
  for (const worker of await startWorkers(program, count, start)) team.add(worker);
  if (team.workers === 0) return undefined;
  let attentions = 0;
  return Object.freeze({
    ...kernels,
    get threads() {
      return team.workers + 1;
    },
    get helped() {
      return team.helped;
    },
    openAttention: (own: Attention, codecs: readonly SideCodec[], recipe: AttentionRecipe) =>
      new ThreadedAttention(team, arena, own, codecs, attentions++, recipe),
    dispose: () => team.end(),
  });
}

async function alone(): Promise<Threads> {
  return Object.freeze({
    ...(await loadWasm()),
    threads: 1,
    helped: 0,
    openAttention: () => undefined,
    dispose: async () => {},
  });
}
