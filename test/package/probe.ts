/**
 * What every environment runs: bytes of formats and bits of attention, as one number. Nothing is imported, so that the
 * same text runs on the sources, in an installed package, in a bundle and in a worker.
 */
import type * as cacheEntry from "../../src/cache/index.js";
import type * as realizarEntry from "../../src/compat/realizar/index.js";
import type * as mainEntry from "../../src/index.js";
import type { Kernels } from "../../src/kernels/kernels.js";
import type * as planEntry from "../../src/plan/index.js";

export interface Entries {
  readonly main: typeof mainEntry;
  readonly cache: typeof cacheEntry;
  readonly plan: typeof planEntry;
  readonly realizar: typeof realizarEntry;
}

export interface Probed {
  readonly backend: string;
  readonly digest: string;
  readonly level: string;
  readonly pages: number;
}

const FORMATS = ["turbo2", "turbo3", "turbo4", "turbo3+qjl", "trellis2", "ggml/q4_0", "llama/turbo4"];

export function probe({ main, cache, plan, realizar }: Entries, backend: Kernels | "reference"): Probed {
  let digest = 2166136261;
  const add = (values: Uint8Array | Float32Array): void => {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    for (const byte of bytes) digest = Math.imul(digest ^ byte, 16777619) >>> 0;
  };
  const stream = main.randomStream(7, "probe");
  const normal = (n: number) => Float32Array.from({ length: n }, () => stream.normal());

  const x = normal(5 * 128);
  for (const format of FORMATS) {
    const codec = main.createCodec(format, { dim: 128, seed: 3, backend });
    const packed = codec.encode(x);
    add(packed);
    add(codec.decode(packed));
    add(codec.score(x.subarray(0, 128), packed));
  }

  const shape = { layers: 1, kvHeads: 2, heads: 4, headDim: 64, pageTokens: 8, pages: 8 };
  const store = new cache.KvCache({ ...shape, key: "turbo4", value: "turbo3", backend });
  const seq = store.create();
  store.append(seq, 0, normal(20 * 2 * 64), normal(20 * 2 * 64));
  const branch = cache.KvCache.restore(store.snapshot(), { backend });
  add(branch.attend(seq, 0, normal(2 * 4 * 64)));

  const model = plan.uniformShape({ layers: 40, heads: 40, kvHeads: 8, headDim: 128, weightBytes: 9e9 });
  const hardware = plan.givenHardware(24 * plan.GIB);
  const old = new realizar.PagedKvCache(10, 16, 8, 64);
  old.forkSequence(old.allocateSequence(40));
  return {
    backend: typeof backend === "string" ? backend : backend.name,
    digest: digest.toString(16),
    level: plan.planLevel({ model, context: 65_536, hardware }).chosen.level.name,
    pages: Number(old.stats().usedPages),
  };
}
