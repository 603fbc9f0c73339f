import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode, encode } from "@msgpack/msgpack";
import { sha256 } from "@noble/hashes/sha2.js";
import { describe, expect, test } from "vitest";
import { CacheError, KvCache, loadCache, SNAPSHOT_VERSION, saveCache } from "../../src/cache/index.js";
import { createReferenceKernels } from "../../src/kernels/reference.js";
import { bitsOf, normals } from "./vectors.js";

const SHAPE = { layers: 2, kvHeads: 1, headDim: 32, pageTokens: 4, pages: 12 };

/** Forks, a truncation, a window, reserved pages, kept prefixes, a freed slot, uneven layers. */
function eventful(): KvCache {
  const cache = new KvCache({
    ...SHAPE,
    key: ["turbo2", "turbo1"],
    value: "turbo2",
    seed: 2n ** 63n,
    heads: 2,
  });
  const a = cache.create();
  for (const layer of [0, 1])
    cache.append(a, layer, normals(11 * 32, 1 + layer), normals(11 * 32, 3 + layer));
  const b = cache.fork(a);
  cache.storePrefix(
    a,
    Array.from({ length: 11 }, (_, i) => i),
  );
  cache.truncate(b, 9);
  cache.append(b, 0, normals(3 * 32, 5), normals(3 * 32, 6));
  cache.slide(a, 3);
  cache.reserve(a, 6);
  cache.free(cache.create());
  return cache;
}

const seal = (payload: Uint8Array): Uint8Array => Uint8Array.from([...payload, 0xc4, 32, ...sha256(payload)]);
const refusal = (bytes: Uint8Array): unknown => {
  try {
    KvCache.restore(bytes, { backend: shared });
    return "accepted";
  } catch (error) {
    return error;
  }
};
const shared = createReferenceKernels();
const cache = eventful();
const bytes = cache.snapshot();

describe("snapshots", () => {
  test("every flipped byte is refused, and the page is named where it is one", () => {
    let named = 0;
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const broken = bytes.slice();
        broken[at]! ^= flip;
        const error = refusal(broken);
        expect(error instanceof CacheError && error.code, `byte ${at} ^ ${flip}`).toBe("CORRUPT_SNAPSHOT");
        if (/page \d+ does not have its checksum/.test((error as Error).message)) named++;
      }
    }
    expect(named / (3 * bytes.length)).toBeGreaterThan(0.4);
  }, 300_000);

  test("every truncation and every extension is refused", () => {
    for (let length = 0; length < bytes.length; length++)
      expect(refusal(bytes.subarray(0, length)), `${length} bytes`).toMatchObject({
        code: "CORRUPT_SNAPSHOT",
      });
    expect(refusal(Uint8Array.from([...bytes, 0]))).toMatchObject({ code: "CORRUPT_SNAPSHOT" });
  });

  test("a forger with a right checksum: another version, junk in every field, lengths beyond the file", () => {
    const fields = (): unknown[] => decode(bytes.subarray(0, -34)) as unknown[];
    const version = fields();
    version[1] = SNAPSHOT_VERSION + 1;
    expect(refusal(seal(encode(version)))).toMatchObject({ code: "SNAPSHOT_VERSION" });
    let refused = 0;
    let accepted = 0;
    const junk = [-2, 1e15, 0.5, "x", null, [], true, 2 ** 40, new Uint8Array(3), Number.NaN, 3];
    const visit = (path: number[], value: unknown): void => {
      if (Array.isArray(value)) for (const [i, item] of value.entries()) visit([...path, i], item);
      for (const other of junk) {
        const forged = fields();
        let parent = forged;
        for (const i of path.slice(0, -1)) parent = parent[i] as unknown[];
        parent[path.at(-1)!] = other;
        const error = refusal(seal(encode(forged)));
        if (error === "accepted") accepted++;
        else {
          refused++;
          const known = error instanceof CacheError || /"maxBytes"/.test((error as Error).message);
          expect(known, `field ${path} = ${other}: ${error}`).toBe(true);
        }
      }
    };
    for (const [i, value] of fields().entries()) visit([i], value);
    // What is accepted: other values of fields that are free (another clock, other counters, a tighter fill).
    expect(accepted / (accepted + refused)).toBeLessThan(0.06);
    // A bin that says it is 4 GiB long, and an array of 2^32 − 1: refused, not allocated.
    expect(refusal(seal(Uint8Array.from([0x9c, 0xc6, 255, 255, 255, 255])))).toMatchObject({
      code: "CORRUPT_SNAPSHOT",
    });
    expect(refusal(seal(Uint8Array.from([0xdd, 255, 255, 255, 255])))).toMatchObject({
      code: "CORRUPT_SNAPSHOT",
    });
    expect(() => KvCache.restore(bytes, { maxBytes: 100 })).toThrow(/maxBytes/);
  }, 300_000);

  test("a restored cache behaves the same from then on", () => {
    const one = KvCache.restore(bytes, { backend: "wasm" });
    const two = eventful();
    expect(one.snapshot()).toEqual(bytes);
    for (const each of [one, two]) {
      const [, b] = [...each];
      const c = each.fork(b!);
      each.append(c, 1, normals(3 * 32, 8), normals(3 * 32, 9));
      const hit = each.matchPrefix(
        Array.from({ length: 9 }, (_, i) => i),
        { leaveOne: true },
      );
      expect(hit.tokens).toBe(8);
      each.append(hit.seq, 0, normals(32, 10), normals(32, 11));
      each.free(b!);
      each.create();
      each.audit();
    }
    expect([...one]).toEqual([...two]);
    expect(one.snapshot()).toEqual(two.snapshot());
    expect(one.stats().counters).toEqual(two.stats().counters);
  });

  test("one sequence alone, into a cache of its own and into another", () => {
    const [, b] = [...cache];
    const alone = KvCache.restore(cache.snapshot(b!));
    expect([...alone]).toEqual([0]);
    expect(bitsOf(alone.read(0, 0, "key"))).toEqual(bitsOf(cache.read(b!, 0, "key")));
    const copy = alone.adopt(cache.snapshot(b!));
    expect(bitsOf(alone.read(copy, 1, "value"))).toEqual(bitsOf(cache.read(b!, 1, "value")));
    expect(alone.layerLength(copy, 0)).toBe(cache.layerLength(b!, 0));
    alone.audit();
    expect(() => alone.adopt(bytes)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    const other = new KvCache({ ...SHAPE, key: "turbo4", value: "turbo2" });
    expect(() => other.adopt(cache.snapshot(b!))).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
  });
});

describe("files", () => {
  test("round trip", async () => {
    const folder = await mkdtemp(join(tmpdir(), "kv-"));
    const path = join(folder, "cache.kv");
    await saveCache(path, cache);
    expect((await loadCache(path)).snapshot()).toEqual(bytes);
    await rm(folder, { recursive: true });
  });

  test("a writer killed at any moment leaves a whole file, old or new", async () => {
    const folder = await mkdtemp(join(tmpdir(), "kv-"));
    const path = join(folder, "cache.kv");
    const module = new URL("../../dist/cache/index.js", import.meta.url).href;
    const program = `
      const { KvCache, saveCache } = await import(${JSON.stringify(module)});
      const cache = new KvCache({ layers: 1, kvHeads: 8, headDim: 128, pageTokens: 16, pages: 64, key: "f32", value: "f32" });
      const seq = cache.create();
      for (let i = 0; ; i++) {
        const x = new Float32Array(8 * 128 * 32).fill(i);
        cache.truncate(seq, 0);
        cache.append(seq, 0, x, x);
        await saveCache(process.argv[1], cache);
        if (i === 0) process.stdout.write("go");
      }`;
    const seen = new Set<number>();
    for (let round = 0; round < 8; round++) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", program, path], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await new Promise((resolve) => child.stdout.once("data", resolve));
      await new Promise((resolve) => setTimeout(resolve, 7 * round));
      child.kill("SIGKILL");
      await new Promise((resolve) => child.once("exit", resolve));
      const loaded = KvCache.restore(new Uint8Array(await readFile(path)));
      const values = loaded.read([...loaded][0]!, 0, "key");
      expect(new Set(values).size).toBe(1);
      seen.add(values[0]!);
    }
    expect(seen.size).toBeGreaterThan(1);
    expect((await readdir(folder)).filter((name) => !name.endsWith(".tmp"))).toEqual(["cache.kv"]);
    await rm(folder, { recursive: true });
  }, 60_000);
});
