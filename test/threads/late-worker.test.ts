/** Workers that come late: with a unit in their hands while the caller goes on, or when there is another step already. */
import { describe, expect, test } from "vitest";
import type { Attention } from "../../src/attention/attend.js";
import { KvCache } from "../../src/cache/index.js";
import { joinSharedWasm, loadSharedWasm } from "../../src/kernels/wasm.js";
import { LEFT } from "../../src/threads/control.js";
import { AT } from "../../src/threads/job.js";
import type { Mail } from "../../src/threads/messages.js";
import { Team } from "../../src/threads/team.js";
import { ThreadedAttention } from "../../src/threads/threaded-attention.js";
import { WorkerShare } from "../../src/threads/worker-share.js";
import { WorkerSteps } from "../../src/threads/worker-steps.js";
import { bitsOf, normals } from "../cache/vectors.js";

const shape = {
  layers: 1,
  kvHeads: 8,
  headDim: 64,
  pageTokens: 16,
  pages: 80,
  key: "turbo4",
  value: "turbo3",
};
const n = 1100 * 8 * 64;
const queries = (step: number): Float32Array => normals(8 * 64, 100 + step);

async function open() {
  const { kernels, shared } = await loadSharedWasm();
  const team = new Team(kernels.arena);
  const worker = new WorkerSteps(joinSharedWasm(shared), team.job);
  const words = new Int32Array(kernels.arena.u8.buffer, team.control);
  const share = new WorkerShare(words, team.job);
  const mail: Mail[] = [];
  const takeMail = (): void => {
    for (const message of mail.splice(0)) worker.take(message);
  };
  const postMessage = (message: Mail): void => {
    mail.push(structuredClone(message));
  };
  const terminate = async (): Promise<number> => 0;
  team.add({ threadId: 1, unref() {}, once() {}, postMessage, terminate } as never);
  /** What the worker does when the caller begins its part of a step. */
  const meanwhile = { do: (): void => {} };
  const backend = {
    ...kernels,
    threads: 2,
    openAttention: (own: Attention, ...rest: [never, never]) => {
      const attend: Attention["attend"] = (...args) => {
        meanwhile.do();
        own.attend(...args);
      };
      return new ThreadedAttention(team, kernels.arena, { attend } as Attention, rest[0], 0, rest[1]);
    },
  };
  const [one, two] = [undefined, backend].map((of) => {
    const cache = new KvCache({ ...shape, ...(of ? { backend: of } : {}) });
    const seq = cache.create();
    cache.append(seq, 0, normals(n, 1), normals(n, 2));
    takeMail();
    return { cache, step: (i: number) => bitsOf(cache.attend(seq, 0, queries(i), undefined)) };
  }) as [Opened, Opened];
  return { one, two, team, worker, takeMail, share, words, meanwhile, backend };
}
interface Opened {
  readonly cache: KvCache;
  readonly step: (i: number) => Uint32Array;
}

describe("a worker that takes a head and loses its core", () => {
  test("is not waited for; until it is back steps go on without it, and what it then writes harms nothing", async () => {
    const { one, two, team, worker, share, meanwhile } = await open();
    meanwhile.do = () => expect(share.open()).toBe(true);
    expect(two.step(0)).toEqual(one.step(0));
    meanwhile.do = () => {};
    expect([team.isFree, team.helped]).toEqual([false, 0]);
    const serial = team.job.words[AT.serial];
    for (let i = 1; i < 4; i++) expect(two.step(i)).toEqual(one.step(i));
    expect(team.job.words[AT.serial]).toBe(serial);

    worker.run(share); // it is back, with the head of step 0
    expect([team.isFree, share.open()]).toEqual([true, false]);
    meanwhile.do = () => {
      expect(share.open()).toBe(true);
      worker.run(share);
    };
    expect(two.step(4)).toEqual(one.step(4));
    expect([team.job.words[AT.serial], team.helped]).toEqual([serial! + 1, 8]);
  });

  test("may come back when its cache is gone and another one has the memory", async () => {
    const { one, two, team, worker, takeMail, share, meanwhile, backend } = await open();
    meanwhile.do = () => expect(share.open()).toBe(true);
    expect(two.step(0)).toEqual(one.step(0));
    meanwhile.do = () => {};
    two.cache.dispose();
    const next = new KvCache({ ...shape, key: "f32", value: "f32", backend });
    const seq = next.create();
    next.append(seq, 0, normals(n, 3), normals(n, 4));
    const before = next.snapshot();
    expect(team.isFree).toBe(false);
    worker.run(share);
    takeMail();
    expect(team.isFree).toBe(true);
    expect(Buffer.compare(next.snapshot(), before)).toBe(0);
  });
});

describe("what a worker takes", () => {
  test("a unit of a step that was published while it finished another is kept for that step", async () => {
    const { two, team, share, words, meanwhile } = await open();
    meanwhile.do = () => {
      expect([share.open(), share.next()]).toEqual([true, 7]);
      meanwhile.do = () => {};
    };
    two.step(0); // the caller does 6 … 0, and 7 too
    // Another step, before the worker says that it is done with its unit of the first one.
    team.job.words[AT.serial]!++;
    Atomics.store(words, LEFT, 3);
    expect(share.next()).toBe(-1);
    expect(Atomics.load(words, LEFT)).toBe(2);
    expect(share.open()).toBe(true);
    expect([share.next(), share.next(), share.next(), share.next()]).toEqual([2, 1, 0, -1]);
    expect(share.open()).toBe(false);
  });
});
