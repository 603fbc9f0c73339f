/** One memory for several threads: the modules with one bit of their import set, and an arena for each thread. */
import { describe, expect, test } from "vitest";
import { KERNELS_BASE64 } from "../../src/kernels/embedded.generated.js";
import { ATTENTION_BASE64 } from "../../src/kernels/embedded-attention.generated.js";
import { importSharedMemory } from "../../src/kernels/shared-import.js";
import { joinSharedWasm, loadSharedWasm } from "../../src/kernels/wasm.js";

const modules = [KERNELS_BASE64, ATTENTION_BASE64].map((base64) =>
  Uint8Array.from(Buffer.from(base64, "base64")),
);

describe("modules that import a shared memory", () => {
  test.each([...modules.entries()])(
    "module %i: one bit differs, and now it wants a shared memory",
    async (_, bytes) => {
      const shared = importSharedMemory(bytes);
      const differs = [...bytes.keys()].filter((i) => bytes[i] !== shared[i]);
      expect(differs.map((i) => bytes[i]! ^ shared[i]!)).toEqual([2]);
      const module = await WebAssembly.compile(shared);
      const limits = { initial: 1, maximum: 65536 };
      const given = (extra: object) => () =>
        new WebAssembly.Instance(module, {
          env: { memory: new WebAssembly.Memory({ ...limits, ...extra }) },
        });
      expect(given({ shared: true })).not.toThrow();
      expect(given({})).toThrow(WebAssembly.LinkError);
    },
  );

  test("others are refused", () => {
    const magic = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
    const memory = [2, 8, 1, 1, 0x65, 1, 0x6d, 2];
    for (const sections of [[], [...memory, 0, 1], [2, 8, 1, 1, 0x65, 1, 0x6d, 0, 0]])
      expect(() => importSharedMemory(Uint8Array.from([...magic, ...sections]))).toThrow("no memory");
    const [flags] = importSharedMemory(Uint8Array.from([...magic, ...memory, 1, 1, 2])).subarray(16);
    expect(flags).toBe(3);
  });
});

describe("arenas on one memory", () => {
  test("never give out a byte twice, whoever makes the memory grow", async () => {
    const { kernels, shared } = await loadSharedWasm();
    const arenas = [kernels.arena, joinSharedWasm(shared).arena, joinSharedWasm(shared).arena];
    const regions: { readonly owner: number; readonly at: number; readonly size: number }[] = [];
    let x = 1;
    const random = (n: number): number => {
      x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
      return Math.floor((x / 2 ** 32) * n);
    };
    for (let i = 0; i < 600; i++) {
      const owner = random(3);
      const size = 1 + random(40_000);
      const at = arenas[owner]!.allocate(size);
      for (const other of regions)
        expect(at + size <= other.at || other.at + other.size <= at, `${at} of ${owner}`).toBe(true);
      regions.push({ owner, at, size });
      if (i % 3 !== 2) continue;
      const [gone] = regions.splice(random(regions.length), 1);
      arenas[gone!.owner]!.release(gone!.at);
    }
    for (const { owner, at } of regions) arenas[owner]!.release(at);
    expect(arenas.map((arena) => arena.usedBytes)).toEqual([0, 0, 0]);
  });

  test("views reach what another made the memory grow by once they are refreshed", async () => {
    const { kernels, shared } = await loadSharedWasm();
    const joined = joinSharedWasm(shared);
    const at = kernels.arena.allocate(1 << 20);
    kernels.arena.u8[at + 1000] = 7;
    joined.arena.refresh();
    expect(joined.arena.u8[at + 1000]).toBe(7);
    expect(joined.arena.usedBytes).toBe(0);
  });

  test("a kernel of either thread sees the other's plan and bytes", async () => {
    const { kernels, shared } = await loadSharedWasm();
    const joined = joinSharedWasm(shared);
    const [half, wide] = [kernels.arena.allocate(2), joined.arena.allocate(4)];
    kernels.arena.u16[half >>> 1] = 0x3c00;
    joined.f16ToF32(half, wide, 1);
    kernels.arena.refresh();
    expect(kernels.arena.f32[wide >>> 2]).toBe(1);
  });
});
