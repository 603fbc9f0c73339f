/** Dumps by windows: the whole, its shares in any order and grouping, and threads say the same, in bounded memory. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { randomStream } from "../../src/core/random.js";
import { referenceBytes } from "../../src/oracle/compare-packed.js";
import { type DumpOptions, verifyDump, verifyShard } from "../../src/oracle/dumps/dump.js";
import { type DumpShard, mergeShards, verdictOf } from "../../src/oracle/dumps/shard.js";
import { parseShard, shardToJson } from "../../src/oracle/dumps/shard-file.js";
import { turboquant } from "../cli/run.js";

const dir = mkdtempSync(join(tmpdir(), "dumps-"));
afterAll(() => rmSync(dir, { recursive: true }));

const DIM = 128;
const N = 9001; // more than is judged whole, and no whole number of windows
const STRIDE = 68;
const r = randomStream(1, "dumps");
const x = Float32Array.from({ length: N * DIM }, () => r.normal());
const good = referenceBytes("llama/turbo4", DIM, x, { side: "key", seed: 0 });
const write = (name: string, data: Uint8Array | Float32Array): string => {
  const path = join(dir, name);
  writeFileSync(path, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return path;
};
const input = write("x.f32", x);
const dumpOf = (name: string, packed: Uint8Array): DumpOptions => ({
  format: "llama/turbo4",
  dim: DIM,
  input,
  packed: write(name, packed),
});
const changed = (from: number, to: number, change: (bytes: Uint8Array, at: number) => void): Uint8Array => {
  const bytes = good.slice();
  for (let v = from; v < to; v++) change(bytes, v * STRIDE);
  return bytes;
};
const swapNibbles = (bytes: Uint8Array, at: number): void => {
  for (let i = at + 4; i < at + STRIDE; i++) bytes[i] = ((bytes[i]! & 15) << 4) | (bytes[i]! >> 4);
};
/** One half toward zero for every other vector: within the tolerance one by one, a fault as a whole. */
const lowerNorm = (bytes: Uint8Array, at: number): void => {
  bytes[at]! -= (at / STRIDE) % 3 === 0 && bytes[at]! > 0 ? 1 : 0;
};

const DUMPS: Readonly<Record<string, Uint8Array>> = {
  exact: good,
  nibbles: changed(0, N, swapNibbles),
  middle: changed(4000, 4500, swapNibbles),
  last: changed(N - 1, N, swapNibbles),
  norms: changed(0, N, lowerNorm),
};

describe("a dump by windows", () => {
  test("exact: no window but the first is kept", async () => {
    const shard = await verifyShard(dumpOf("exact", good), [1, 1]);
    expect(shard.packed).toMatchObject({ vectors: N, wrong: 0, normUlps: 0, boundaryFlips: 0 });
    expect(shard.packed!.kept.map((k) => k.window)).toEqual([0]);
    expect(verdictOf(shard)).toMatchObject({ verdict: "exact", vectors: N, first: null, faults: [] });
  });
  test("wrong everywhere: named, and three windows more are kept", async () => {
    const verdict = await verifyDump(dumpOf("nibbles", DUMPS.nibbles!));
    expect(verdict).toMatchObject({ verdict: "faulty", vectors: N, first: { vector: 0 } });
    expect(verdict.faults[0]!.id).toBe("pack-nibble-order");
    expect(verdict.checks.find((c) => c.id === "vectors-wrong")?.value).toBe(N);
    const { packed } = await verifyShard(dumpOf("nibbles", DUMPS.nibbles!), [1, 1]);
    expect(packed!.kept.map((k) => k.window)).toEqual([0, 1, 2, 3]);
  });
  test("wrong in the middle, or in the last vector alone: found where it is", async () => {
    const middle = await verifyDump(dumpOf("middle", DUMPS.middle!));
    expect(middle).toMatchObject({ verdict: "faulty", first: { vector: 4000 } });
    expect(middle.checks.find((c) => c.id === "vectors-wrong")?.value).toBe(500);
    const last = await verifyDump(dumpOf("last", DUMPS.last!));
    expect(last).toMatchObject({ verdict: "faulty", first: { vector: N - 1 } });
  });
  test("within the tolerance: counted over the whole dump", async () => {
    const bytes = changed(0, N, (b, at) => {
      if ((at / STRIDE) % 1000 === 999) b[at]! += b[at]! < 255 ? 1 : -1;
    });
    expect(await verifyDump(dumpOf("near", bytes))).toMatchObject({
      verdict: "tolerated",
      tolerated: { normUlps: 9, boundaryFlips: 0 },
    });
  });
  test("decoded values, and both at once", async () => {
    const values = Float32Array.from({ length: N * DIM }, () => 0);
    const options = { ...dumpOf("exact", good), decoded: write("zeros.f32", values) };
    const verdict = await verifyDump(options);
    expect([verdict.verdict, verdict.faults[0]!.id]).toEqual(["faulty", "decode-zero"]);
    const { packed, decoded } = await verifyShard(options, [1, 1]);
    expect([packed!.wrong, decoded!.wrong]).toEqual([0, N]);
  });
});

describe("shares", () => {
  test.each(Object.keys(DUMPS))(
    "%s: any number, order and grouping gives the verdict of the whole",
    async (name) => {
      const options = dumpOf(name, DUMPS[name]!);
      const whole = await verifyDump(options);
      for (const n of [3, 40]) {
        const shards: DumpShard[] = [];
        for (let i = 1; i <= n; i++)
          shards.push(parseShard(shardToJson(await verifyShard(options, [i, n])), "s"));
        const merged = mergeShards(shards);
        expect(verdictOf(merged)).toEqual(whole);
        const cuts = fc.tuple(
          fc.shuffledSubarray(shards, { minLength: n, maxLength: n }),
          fc.integer({ min: 0, max: n }),
        );
        const regrouped = fc.property(cuts, ([order, cut]) => {
          const groups = [order.slice(0, cut), order.slice(cut)].filter((g) => g.length > 0);
          expect(mergeShards(groups.map(mergeShards))).toEqual(merged);
        });
        fc.assert(regrouped, { numRuns: 10, seed: 7 });
      }
    },
  );
  test("missing, doubled and foreign shares are refused", async () => {
    const options = dumpOf("exact", good);
    const share = (i: number, n: number): Promise<DumpShard> => verifyShard(options, [i, n]);
    const [a, b, half] = [await share(1, 3), await share(3, 3), await share(1, 2)];
    expect(() => verdictOf(mergeShards([a, b]))).toThrow(/missing are vectors 3072 … 6143/);
    expect(() => mergeShards([a, half])).toThrow(/window 0 twice/);
    expect(() => mergeShards([a, { ...b, dim: 64 }])).toThrow(/one dump, got dim 128 and 64/);
    expect(() => mergeShards([])).toThrow(TypeError);
    await expect(share(4, 3)).rejects.toThrow(RangeError);
  });
  test("a damaged file is refused in one line", async () => {
    const text = shardToJson(await verifyShard(dumpOf("exact", good), [1, 2]));
    const json = JSON.parse(text);
    const damaged = [
      "",
      "{}",
      JSON.stringify({ ...json, vectors: -1 }),
      JSON.stringify({ ...json, version: 2 }),
      JSON.stringify({ ...json, ranges: [[9, 10]] }),
      text.replace(/"output":"...../, '"output":"'),
    ];
    for (const bad of damaged)
      expect(() => parseShard(bad, "s.json")).toThrow(expect.objectContaining({ code: "BAD_FILE" }));
  });
});

describe("sizes that do not fit", () => {
  const over = new Uint8Array(good.length + 7);
  over.set(good);
  test.each([
    ["overrun", over],
    ["pack-tail-dropped", good.subarray(0, good.length - 3)],
    ["pack-tail-dropped", good.subarray(0, 1001)],
  ] as const)("%s", async (id, packed) => {
    const verdict = await verifyDump(dumpOf(`odd-${id}`, packed));
    expect([verdict.verdict, verdict.faults[0]!.id]).toEqual(["faulty", id]);
    expect(verdict.first).toMatchObject({ field: "size", expected: good.length, actual: packed.length });
    await expect(verifyShard(dumpOf(`odd-${id}`, packed), [1, 2])).rejects.toThrow(/expected 612068/);
  });
  test("no fault explains it", async () => {
    const noise = Uint8Array.from({ length: 100_001 }, () => (100 * r.normal()) & 255);
    await expect(verifyDump(dumpOf("noise", noise))).rejects.toMatchObject({
      code: "BAD_LENGTH",
      message: `packed data of 100001 bytes: expected ${N * STRIDE} (${N} vectors of ${STRIDE} bytes)`,
    });
  });
});

describe("the command line", () => {
  const common = ["verify", "-f", "llama/turbo4", "-d", "128", "--input", input];
  test("--jobs, and --shard with merge, print what one thread prints", () => {
    const bad = write("cli.bin", DUMPS.middle!);
    const one = turboquant([...common, "--packed", bad, "--json"]);
    const two = turboquant([...common, "--packed", bad, "--json", "--jobs", "2"]);
    expect([two.status, two.stdout.toString()]).toEqual([1, one.stdout.toString()]);
    const files = [1, 2, 3].map((i) => {
      const { status, stdout } = turboquant([...common, "--packed", bad, "--shard", `${i}/3`]);
      expect(status).toBe(0);
      return write(`share-${i}.json`, stdout);
    });
    const merged = turboquant(["merge", ...[files[2]!, files[0]!, files[1]!], "--json"]);
    expect([merged.status, merged.stdout.toString()]).toEqual([1, one.stdout.toString()]);
    const part = turboquant(["merge", files[0]!, files[2]!]);
    expect([part.status, part.stderr]).toEqual([
      1,
      expect.stringMatching(/^error: .*missing are vectors .*\n$/),
    ]);
  });
  test.each([
    ["--shard", "0/3"],
    ["--shard", "4/3"],
    ["--shard", "x"],
    ["--jobs", "0"],
  ])("%s %s is wrong usage", (flag, value) => {
    const { status, stderr } = turboquant([...common, "--packed", input, flag, value]);
    expect([status, stderr.trim().split("\n").length]).toEqual([2, 1]);
  });
});
