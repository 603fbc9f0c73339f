/** Out-of-pages at every allocation of a trace: whoever is refused finds the cache byte for byte as it was. */
import { describe, expect, test } from "vitest";
import { KvCache, type SequenceHandle } from "../../src/cache/index.js";
import { createReferenceKernels } from "../../src/kernels/reference.js";
import { loadWasmSync } from "../../src/kernels/wasm.js";
import { normals } from "./vectors.js";

const SHAPE = {
  layers: 2,
  kvHeads: 2,
  headDim: 32,
  pageTokens: 4,
  pages: 40,
  key: "turbo4",
  value: "turbo3",
};
const ROW = SHAPE.kvHeads * SHAPE.headDim;

type Step = (cache: KvCache, seqs: SequenceHandle[]) => void;
const append =
  (which: number, layer: number, tokens: number, seed: number): Step =>
  (cache, seqs) =>
    cache.append(seqs[which]!, layer, normals(tokens * ROW, seed), normals(tokens * ROW, seed + 1));

/** Growth by one and by many, copies by child and by parent, in one layer before the other, reservations. */
const TRACE: Step[] = [
  (cache, seqs) => seqs.push(cache.create()),
  append(0, 0, 6, 1),
  append(0, 1, 6, 3),
  (cache, seqs) => seqs.push(cache.fork(seqs[0]!)),
  append(1, 0, 1, 5),
  append(1, 1, 1, 7),
  append(0, 1, 11, 9),
  append(0, 0, 11, 11),
  (cache, seqs) => seqs.push(cache.fork(seqs[0]!), cache.fork(seqs[1]!)),
  (cache, seqs) => cache.reserve(seqs[2]!, 9),
  (cache, seqs) => cache.truncate(seqs[3]!, 2),
  append(3, 0, 3, 13),
  append(3, 1, 3, 15),
  (cache, seqs) => cache.slide(seqs[0]!, 4),
  append(2, 0, 12, 17),
  append(2, 1, 12, 19),
  (cache, seqs) => {
    cache.storePrefix(seqs[1]!, [1, 2, 3, 4, 5, 6, 7]);
  },
  (cache, seqs) => seqs.push(cache.adopt(cache.snapshot(seqs[2]!))),
  append(1, 0, 20, 21),
];

describe.each(["reference", "wasm"] as const)("%s", (backend) => {
  test("refused at every allocation, with every smaller number of free pages", () => {
    const cache = new KvCache({
      ...SHAPE,
      backend: backend === "wasm" ? loadWasmSync() : createReferenceKernels(),
    });
    const seqs: SequenceHandle[] = [];
    let refusals = 0;
    for (const [i, step] of TRACE.entries()) {
      const trial = KvCache.restore(cache.snapshot(), { backend });
      const before = trial.stats().counters.allocations;
      step(trial, [...seqs]);
      const needed = trial.stats().counters.allocations - before;
      for (let available = 0; available < needed; available++) {
        const hog = cache.create();
        cache.reserve(hog, SHAPE.pageTokens * (cache.stats().pages.free - available));
        const full = cache.snapshot();
        expect(() => step(cache, [...seqs]), `step ${i}, ${available} of ${needed}`).toThrow(
          expect.objectContaining({ code: "OUT_OF_PAGES", needed, available }),
        );
        expect(cache.snapshot()).toEqual(full);
        cache.audit();
        cache.free(hog);
        refusals++;
      }
      step(cache, seqs);
      cache.audit();
    }
    expect(refusals).toBeGreaterThan(15);
  });

  test("a backend without more memory is refused alike", () => {
    const kernels = backend === "wasm" ? loadWasmSync() : createReferenceKernels();
    const cache = new KvCache({ ...SHAPE, backend: kernels });
    const seqs: SequenceHandle[] = [];
    const { arena } = kernels;
    const allocate = arena.allocate.bind(arena);
    let failures = 0;
    for (const step of TRACE.slice(0, 8)) {
      for (let failAt = 1; failAt < 20; failAt++) {
        const before = cache.snapshot();
        let calls = 0;
        const mine = [...seqs];
        arena.allocate = (bytes) => {
          if (++calls === failAt) throw new RangeError("no memory");
          return allocate(bytes);
        };
        try {
          step(cache, mine);
          seqs.splice(0, seqs.length, ...mine);
          break;
        } catch (error) {
          expect((error as Error).message).toBe("no memory");
          expect(cache.snapshot()).toEqual(before);
          cache.audit();
          failures++;
        } finally {
          arena.allocate = allocate;
        }
      }
    }
    expect(failures).toBeGreaterThan(3);
  });
});
