/** The exported suites hold for the reference, on both backends, and every broken implementation is caught and named. */
import { describe, expect, test } from "vitest";
import { KvCache } from "../../src/cache/index.js";
import { packCodes, unpackCodes } from "../../src/core/bits.js";
import { gaussianCodebook } from "../../src/core/codebook.js";
import { createSketch, estimateCorrection, packSigns, project, signedSum } from "../../src/core/qjl.js";
import { randomStream } from "../../src/core/random.js";
import { seededRotation } from "../../src/core/seeded-rotation.js";
import { type Rotation, rotate, unrotate, wht } from "../../src/core/wht.js";
import { createCodec } from "../../src/formats/codec.js";
import {
  assertProperties,
  type CodecUnderTest,
  cacheSuite,
  codebookSuite,
  codecSuite,
  distortionSuite,
  failuresOf,
  leastSignificantFirst,
  type Property,
  PropertyFailure,
  packingSuite,
  type RotationUnderTest,
  rotationSuite,
  sketchSuite,
  streamsSuite,
  unbiasednessSuite,
} from "../../src/properties/index.js";
import { type Flaws, SmallCache } from "./small-cache.js";

const DIM = 64;
const SEED = 20_26;

async function suggested(properties: readonly Property[], runs?: number): Promise<string[]> {
  const failures = await failuresOf(properties, { seed: SEED, ...(runs ? { runs } : {}) });
  return failures.flatMap((f) => f.faults);
}

const ours: RotationUnderTest = {
  dims: [32, 64, 96, 128],
  rotate: (x, seed) => {
    rotate(seededRotation(x.length, seed), x);
    return x;
  },
  unrotate: (x, seed) => {
    unrotate(seededRotation(x.length, seed), x);
    return x;
  },
};
/** The reference with other diagonals, or done otherwise. */
const rotationWith = (change: (r: Rotation) => Rotation): RotationUnderTest => ({
  ...ours,
  rotate: (x, seed) => {
    rotate(change(seededRotation(x.length, seed)), x);
    return x;
  },
  unrotate: (x, seed) => {
    unrotate(change(seededRotation(x.length, seed)), x);
    return x;
  },
});
const ones = (r: Rotation): Float32Array => new Float32Array(r.dim).fill(1);

describe("rotation", () => {
  test("the reference", () => assertProperties(rotationSuite(ours), { seed: SEED }));
  test.each<[string, RotationUnderTest, string]>([
    ["no transform", { ...ours, rotate: (x) => x, unrotate: (x) => x }, "rotation-missing"],
    ["no signs", rotationWith((r) => ({ ...r, before: ones(r), after: ones(r) })), "rotation-unsigned"],
    ["signs after H only", rotationWith((r) => ({ ...r, before: ones(r) })), "rotation-signs-after"],
    ["1/√d left out", rotationWith((r) => ({ ...r, unit: 1 })), "rotation-scale"],
    ["the inverse forgets to swap the signs", { ...ours, unrotate: ours.rotate }, "rotation-signs-swapped"],
    [
      "rotated twice on the way in",
      {
        ...ours,
        rotate: (x, seed) => {
          ours.rotate(x, seed);
          wht(x, x.length & -x.length);
          return x.map((v) => v / Math.sqrt(x.length & -x.length));
        },
      },
      "rotation-double",
    ],
  ])("%s", async (_, mutant, fault) => expect(await suggested(rotationSuite(mutant))).toContain(fault));
});

describe("codebook", () => {
  const table = (bits: number, change: (c: number, i: number, n: number) => number = (c) => c) => {
    const { centroids } = gaussianCodebook(bits);
    const moved = Array.from(centroids, (c, i) => change(c, i, centroids.length));
    return {
      bits,
      distribution: "gaussian" as const,
      centroids: moved,
      boundaries: moved.slice(1).map((c, i) => (c + moved[i]!) / 2),
    };
  };
  test.each([1, 2, 3, 4, 5, 6, 7, 8])("the reference, %i bits", (bits) =>
    assertProperties(codebookSuite(table(bits))),
  );
  test.each<[string, ReturnType<typeof table>, string]>([
    ["σ × .61", table(3, (c) => c * 0.61), "codebook-sigma"],
    ["uniform levels", table(3, (_, i, n) => (2 * i + 1 - n) * 0.3), "codebook-uniform"],
    ["one Lloyd step short", table(4, (c) => c * (1 + 0.004 * Math.abs(c))), "codebook-unconverged"],
    ["unsorted", table(2, (c, i) => (i === 0 ? 3 : c)), "codebook-order"],
    [
      "boundaries of another backend",
      { ...table(4), boundaries: table(4).boundaries.map((b) => b * 1.001) },
      "boundary-last-digit",
    ],
  ])("%s", async (_, mutant, fault) => expect(await suggested(codebookSuite(mutant))).toContain(fault));
  test("a table of another dimension", async () => {
    const book = { ...table(3, (c) => c / 8), distribution: { sphere: 64 } };
    expect(await suggested(codebookSuite(book))).not.toEqual([]);
    const { lloydMax } = await import("../../src/core/lloyd-max.js");
    const right = lloydMax({ bits: 3, distribution: { sphere: 64 } });
    await assertProperties(codebookSuite(right));
  });
});

describe("packing", () => {
  const lsb = (bits: number) => ({
    bits,
    count: DIM,
    pack: (codes: Uint8Array) => {
      const out = new Uint8Array((DIM * bits) / 8);
      packCodes(codes, bits, out);
      return out;
    },
    unpack: (bytes: Uint8Array) => {
      const codes = new Uint8Array(DIM);
      unpackCodes(bytes, bits, codes);
      return codes;
    },
    place: leastSignificantFirst(bits),
  });
  test.each([1, 2, 3, 4, 5, 6, 7, 8])("the reference, %i bits", (bits) =>
    assertProperties(packingSuite(lsb(bits)), { seed: SEED }),
  );
  const four = lsb(4);
  const nibbles = (bytes: Uint8Array) => bytes.map((b) => (b >> 4) | ((b & 15) << 4));
  test.each<[string, Partial<typeof four>, string]>([
    [
      "nibbles swapped both ways",
      { pack: (c) => nibbles(four.pack(c)), unpack: (b) => four.unpack(nibbles(b)) },
      "pack-nibble-order",
    ],
    ["nibbles swapped one way", { pack: (c) => nibbles(four.pack(c)) }, "pack-nibble-order"],
    [
      "inverted",
      { pack: (c) => four.pack(c).map((b) => ~b), unpack: (b) => four.unpack(b.map((v) => ~v)) },
      "pack-inverted",
    ],
    ["zeros", { pack: () => new Uint8Array(DIM / 2) }, "pack-zero"],
    ["the last byte dropped", { pack: (c) => four.pack(c).fill(0, DIM / 2 - 1) }, "pack-tail-dropped"],
    ["a byte too many", { pack: (c) => new Uint8Array([...four.pack(c), 0]) }, "pack-tail-dropped"],
  ])("%s", async (_, mutant, fault) =>
    expect(await suggested(packingSuite({ ...four, ...mutant }))).toContain(fault),
  );
});

const turbo = (format: string, scale?: "least-squares" | "norm-matching" | "unbiased") => (seed: number) =>
  createCodec(format, { dim: DIM, seed, ...(scale ? { scale } : {}) });

describe("codec", () => {
  test.each(["turbo1", "turbo2", "turbo3", "turbo4", "turbo8"])(
    "%s, each rule, both backends",
    async (format) => {
      for (const scale of ["least-squares", "norm-matching", "unbiased"] as const)
        for (const backend of ["reference", "wasm"] as const) {
          const codec = createCodec(format, { dim: DIM, seed: 3, scale, backend });
          await assertProperties(codecSuite(codec, { scale, bitsPerValue: codec.bitsPerValue }), {
            seed: SEED,
          });
        }
    },
  );
  test.each([
    "turbo3+qjl",
    "turbo2.5",
    "trellis2",
    "trellis4x",
    "f16",
    "llama/turbo3",
    "ggml/q8_0",
    "ggml/q4_0",
    "vllm/4bit_nc",
  ])("%s", (format) =>
    assertProperties(codecSuite(createCodec(format, { dim: 128 }), { nonFinite: "any" }), { seed: SEED }),
  );

  const good = createCodec("turbo3", { dim: DIM, seed: 3, scale: "norm-matching" });
  const like = (change: Partial<CodecUnderTest>): CodecUnderTest => ({
    dim: DIM,
    bytesPerVector: good.bytesPerVector,
    encode: (x) => good.encode(x),
    decode: (b) => good.decode(b),
    score: (q, b) => good.score(q, b),
    ...change,
  });
  const rows = (bytes: Uint8Array, change: (row: Uint8Array) => void): Uint8Array => {
    for (let at = 0; at < bytes.length; at += good.bytesPerVector)
      change(bytes.subarray(at, at + good.bytesPerVector));
    return bytes;
  };
  test.each<[string, CodecUnderTest, string]>([
    ["a decoder of zeros", like({ decode: (b) => good.decode(b).fill(0) }), "decode-zero"],
    ["packs zeros", like({ encode: (x) => rows(good.encode(x), (row) => row.fill(0, 2)) }), "pack-zero"],
    [
      "inverted codes",
      like({
        encode: (x) =>
          rows(good.encode(x), (row) => row.subarray(2).forEach((b, i, all) => void (all[i] = ~b))),
      }),
      "pack-inverted",
    ],
    [
      "the norm is never applied",
      like({ decode: (b) => good.decode(rows(b.slice(), (row) => row.set([0, 0x3c]))) }),
      "norm-ignored",
    ],
    [
      "another scale rule",
      like({ ...createCodec("turbo3", { dim: DIM, seed: 3, scale: "least-squares" }) }),
      "scale-rule",
    ],
    [
      "a query that is not rotated",
      like({
        score: (q, b) =>
          good.score(
            q.map((v, i) => (i % 2 ? -v : v)),
            b,
          ),
      }),
      "query-not-rotated",
    ],
    [
      "the last vector dropped",
      like({
        encode: (x) => good.encode(x).fill(0, Math.max(0, (x.length / DIM - 1) * good.bytesPerVector || 1e9)),
      }),
      "pack-tail-dropped",
    ],
    [
      "NaN becomes zeros",
      like({ encode: (x) => good.encode(x.map((v) => (Number.isFinite(v) ? v : 0))) }),
      "nan-silent",
    ],
    [
      "a scale cut towards zero",
      like({ encode: (x) => rows(good.encode(x.map((v) => v * (1 - 2 ** -12))), () => {}) }),
      "norm-f16-truncated",
    ],
    [
      "zeros decode to a constant",
      like({ decode: (b) => good.decode(b).map((v) => (v === 0 ? 1e-3 : v)) }),
      "zero-vector",
    ],
  ])("%s", async (_, mutant, fault) =>
    expect(await suggested(codecSuite(mutant, { scale: "norm-matching" }))).toContain(fault),
  );
  test("bits that are not counted", async () =>
    expect(await suggested(codecSuite(good, { bitsPerValue: 3 }))).toContain("norms-uncounted"));
});

describe("distortion", () => {
  test.each([
    ["turbo2", 2],
    ["turbo3", 3],
    ["turbo4", 4],
  ] as const)("%s", (format, bits) =>
    assertProperties(distortionSuite(turbo(format), { bits }), { seed: SEED }),
  );

  const shrunk =
    (change: (x: Float32Array) => Float32Array) =>
    (seed: number): CodecUnderTest => {
      const codec = turbo("turbo3")(seed);
      return { ...codec, decode: (b) => change(codec.decode(b)), encode: (x) => codec.encode(x) };
    };
  const unrotated = (): CodecUnderTest => {
    const { centroids, boundaries } = gaussianCodebook(3);
    const around = (v: number) => centroids[boundaries.filter((b) => v >= b).length]!;
    return {
      dim: DIM,
      bytesPerVector: 4 * DIM,
      encode: (x) => {
        const out = x.slice();
        for (let at = 0; at < x.length; at += DIM) {
          const row = x.subarray(at, at + DIM);
          const norm = Math.sqrt(row.reduce((sum, v) => sum + v * v, 0) / DIM);
          out.set(
            row.map((v) => around(v / norm) * norm),
            at,
          );
        }
        return new Uint8Array(out.buffer);
      },
      decode: (bytes) => new Float32Array(bytes.slice().buffer),
    };
  };
  test.each<[string, (seed: number) => CodecUnderTest, string]>([
    ["a decoder of zeros", shrunk((x) => x.fill(0)), "decode-zero"],
    [
      "noise on what is decoded",
      shrunk((x) => x.map((v, i) => v * (1 + 0.1 * Math.sin(i * i)))),
      "codebook-unconverged",
    ],
    ["a bit fewer than said", turbo("turbo2"), "codebook-sigma"],
    ["a bit more than said", turbo("turbo4"), "codebook-sigma"],
    ["no rotation", unrotated, "rotation-missing"],
  ])("%s", async (_, open, fault) =>
    expect(await suggested(distortionSuite(open, { bits: 3 }), 600)).toContain(fault),
  );
});

describe("unbiasedness", () => {
  const small = (format: string, scale?: "least-squares" | "norm-matching" | "unbiased") => (seed: number) =>
    createCodec(format, { dim: 32, seed, ...(scale ? { scale } : {}) });
  test.each([
    ["turbo2+qjl", undefined],
    ["turbo3", "unbiased"],
  ] as const)("%s", (format, scale) =>
    assertProperties(unbiasednessSuite(small(format, scale)), { seed: SEED }),
  );
  test.each<[string, (seed: number) => CodecUnderTest, string]>([
    ["least squares shrink", small("turbo2", "least-squares"), "scale-rule"],
    ["norm matching shrinks", small("turbo2", "norm-matching"), "scale-rule"],
    [
      "a sketch that is never read",
      (seed) => {
        const codec = small("turbo2+qjl")(seed);
        // Residual norm 0: bytes 2 and 3.
        return {
          ...codec,
          score: (q, b) =>
            codec.score(
              q,
              b.map((v, i) => (i === 2 || i === 3 ? 0 : v)),
            ),
        };
      },
      "qjl-dead",
    ],
  ])("%s", async (_, open, fault) => expect(await suggested(unbiasednessSuite(open))).toContain(fault));
});

describe("sketch", () => {
  const of = (kind: "gaussian" | "orthogonal", factor = 1, norm = 1) => ({
    dim: 32,
    rows: 32,
    kind,
    estimate: (query: Float32Array, residual: Float32Array, seed: number) => {
      const sketch = createSketch(kind, residual.length, seed);
      const projected = new Float32Array(sketch.rows);
      const bits = new Uint8Array(sketch.rows / 8);
      project(sketch, residual, projected);
      packSigns(projected, bits);
      project(sketch, query, projected);
      const length = Math.sqrt(residual.reduce((sum, v) => sum + v * v, 0));
      return factor * estimateCorrection(sketch, norm * length, signedSum(projected, bits));
    },
  });
  test.each(["gaussian", "orthogonal"] as const)("%s", (kind) =>
    assertProperties(sketchSuite(of(kind)), { seed: SEED }),
  );
  test.each<[string, ReturnType<typeof of>, string]>([
    ["√(π/2)/√d", of("orthogonal", Math.sqrt(32)), "qjl-scale"],
    ["residual norm × 1.5", of("gaussian", 1, 1.5), "qjl-norm"],
    ["dropped", of("gaussian", 0), "qjl-dead"],
  ])("%s", async (_, mutant, fault) => expect(await suggested(sketchSuite(mutant))).toContain(fault));
});

describe("streams", () => {
  const part = (label: string) => (seed: number, count: number) => {
    const stream = randomStream(seed, label);
    return Float64Array.from({ length: count }, () => stream.normal());
  };
  const parts = { rotation: part("rotation"), sketch: part("sketch"), data: part("data") };
  test("the reference", () => assertProperties(streamsSuite({ parts }), { seed: SEED }));
  test("a shared seed", async () =>
    expect(await suggested(streamsSuite({ parts: { ...parts, sketch: part("rotation") } }))).toContain(
      "qjl-seed-shared",
    ));
});

describe("cache", () => {
  const shape = { layers: 2, kvHeads: 2, headDim: 32 };
  test.each(["reference", "wasm"] as const)("KvCache, %s", (backend) =>
    assertProperties(
      cacheSuite<number>({
        ...shape,
        open: () =>
          new KvCache({ ...shape, pageTokens: 4, pages: 9, key: "turbo3", value: "turbo4", backend }),
        used: (cache) => (cache as KvCache).stats().pages.used,
        audit: (cache) => (cache as KvCache).audit(),
        full: (error) => (error as { code?: string }).code === "OUT_OF_PAGES",
      }),
      { seed: SEED, runs: 60 },
    ),
  );
  const small = (flaws?: Flaws) =>
    cacheSuite({
      ...shape,
      open: () => new SmallCache(shape.layers, shape.kvHeads * shape.headDim, flaws),
      used: (cache) => (cache as SmallCache).used,
    });
  test("a small cache", () => assertProperties(small(), { seed: SEED }));
  test.each<[string, Flaws, string]>([
    ["no copy on write", { noCopy: true }, "cow-missing"],
    ["a leaked page", { leak: true }, "refcount-leak"],
    ["shared pages freed", { freeShared: true }, "refcount-leak"],
    ["a shared length", { sharedLength: true }, "fork-shared-length"],
    ["truncation of all forks", { truncateShared: true }, "truncate-shared"],
    ["keys for values", { swapped: true }, "kv-swapped"],
    ["keys read as zeros", { zeroKeys: true }, "k-zero"],
    ["another layer", { layerOff: true }, "layer-off-by-one"],
    ["the page before", { tableOff: true }, "page-table-off-by-one"],
  ])("%s", async (_, flaws, fault) => expect(await suggested(small(flaws))).toContain(fault));
});

test("a failure names property, faults and replay; the replay fails alike", async () => {
  const broken = rotationSuite({ ...ours, unrotate: ours.rotate });
  const [first] = await failuresOf(broken, { seed: 9 });
  expect(first).toBeInstanceOf(PropertyFailure);
  expect(first!.message).toMatch(
    /^rotation: un-rotating .*\n {2}on \{.*\n {2}suggests: rotation-signs-swapped.*\n {2}replay: \{ seed: 9, path: "/,
  );
  const property = broken.find((p) => first!.property.endsWith(p.name))!;
  const again = await property.run(first!.replay).catch((error) => error);
  expect(again.counterexample).toBe(first!.counterexample);
  await expect(assertProperties(broken)).rejects.toThrow(/1 of 4 properties do not hold/);
});
