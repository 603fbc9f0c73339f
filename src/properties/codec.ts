/** What any codec promises of single vectors: sizes, independence, zeros, powers of two, its scale rule, its scores. */
import fc from "fast-check";
import type { ScaleRule } from "../core/scale.js";
import { dataStream, normals, structured } from "./inputs.js";
import {
  type Awaitable,
  exampleProperty,
  insist,
  type Property,
  Suspicion,
  sampleProperty,
} from "./property.js";
import { angleError, dotOf, insistMean, normOf, sample } from "./statistics.js";

/** A codec of somebody's; `createCodec` of this package is one. */
export interface CodecUnderTest {
  readonly dim: number;
  readonly bytesPerVector: number;
  /** x: (n · dim) → (n · bytesPerVector). */
  encode(x: Float32Array): Awaitable<Uint8Array>;
  /** bytes: (n · bytesPerVector) → (n · dim), in the basis of what was encoded. */
  decode(bytes: Uint8Array): Awaitable<Float32Array>;
  /** ⟨query, x̂⟩ of n packed vectors. query: (dim,). */
  score?(query: Float32Array, bytes: Uint8Array): Awaitable<Float32Array>;
}

/** What the codec's format promises. */
export interface CodecOptions {
  /** Bits that the format says it stores per value, everything counted. */
  readonly bitsPerValue?: number;
  /** What the stored scale is meant to do, for formats that have one per vector. */
  readonly scale?: ScaleRule;
  /** Bits of the stored scale's mantissa: 11 for fp16 (default), 24 for f32. */
  readonly scaleBits?: number;
  /** What must happen to NaN and infinities: refused, or whatever. Default: refused. */
  readonly nonFinite?: "refused" | "any";
}

const SUITE = "codec";

/** Bytes, sizes, scale rule, homogeneity and bad input of one codec; its statistics are `distortionSuite` and `unbiasednessSuite`. */
export function codecSuite(codec: CodecUnderTest, options: CodecOptions = {}): readonly Property[] {
  const { dim, bytesPerVector } = codec;
  const examples = fc.record({ data: fc.nat(), magnitude: fc.constantFrom(1, 0.03125, 100) });
  type Example = { data: number; magnitude: number };
  const vectorOf = ({ data, magnitude }: Example): Float32Array =>
    normals(dataStream(data), dim).map((v) => v * magnitude);
  const through = async (x: Float32Array): Promise<Float32Array> => codec.decode(await codec.encode(x));

  const properties = [
    exampleProperty(
      SUITE,
      "n vectors take n times the bytes of one, whatever stands beside them",
      ["stride-head", "pack-tail-dropped", "overrun", "pad-missing", "norm-block"],
      fc.tuple(examples, examples, examples),
      async (three) => {
        const vectors = three.map(vectorOf);
        const all = new Float32Array(3 * dim);
        vectors.forEach((v, i) => void all.set(v, i * dim));
        const given = all.slice();
        const bytes = await codec.encode(all);
        insist(
          bytes.length === 3 * bytesPerVector,
          () => `3 vectors took ${bytes.length} bytes, expected 3 · ${bytesPerVector}`,
        );
        insist(
          all.every((v, i) => v === given[i]),
          () => "encoding changed its input",
        );
        for (const [i, v] of vectors.entries()) {
          const alone = await codec.encode(v.slice());
          const at = alone.findIndex((byte, j) => byte !== bytes[i * bytesPerVector + j]);
          insist(at < 0, () => `byte ${at} of vector ${i} of three differs from its code alone`);
        }
      },
    ),
    exampleProperty(
      SUITE,
      "a decoded vector points where the vector did",
      [
        "decode-zero",
        "pack-zero",
        "pack-inverted",
        "pack-nibble-order",
        "rotation-signs-swapped",
        "rotation-transposed",
        "test-basis",
      ],
      examples,
      async (e) => {
        const x = vectorOf(e);
        const cosine =
          Math.sqrt(Math.max(0, 1 - angleError(x, await through(x)))) * Math.sign(dotOf(x, await through(x)));
        insist(cosine > 0.6, () => `the cosine is ${cosine.toFixed(3)}`);
      },
    ),
    sampleProperty(
      SUITE,
      "one-hot, constant and Walsh vectors point where they did",
      ["rotation-unsigned", "rotation-missing", "decode-zero"],
      1,
      async () => {
        for (const [name, x] of structured(dim)) {
          const error = angleError(x, await through(x));
          insist(error < 0.55, () => `${name} loses ${(100 * error).toFixed(0)} % of its energy`);
        }
      },
    ),
    sampleProperty(SUITE, "zeros decode to zeros", ["zero-vector"], 1, async () => {
      const back = await through(new Float32Array(dim));
      const at = back.findIndex((v) => v !== 0);
      insist(at < 0, () => `coordinate ${at} of a zero vector decodes to ${back[at]}`);
    }),
    exampleProperty(
      SUITE,
      "twice the vector decodes to twice the values",
      ["norm-missing", "norm-squared", "norm-ignored", "rotation-f16", "scale-rule"],
      examples,
      async (e) => {
        const x = vectorOf(e);
        const once = await through(x);
        const twice = await through(x.map((v) => 2 * v));
        const off = normOf(twice.map((v, i) => v - 2 * once[i]!)) / normOf(twice);
        insist(off < 1e-3, () => `differs by ${off.toExponential(1)} of its norm`);
      },
    ),
  ];
  const { bitsPerValue, scale, nonFinite = "refused" } = options;
  if (bitsPerValue !== undefined)
    properties.push(
      sampleProperty(
        SUITE,
        "stores the bits that it says",
        ["norms-uncounted", "padding-uncounted", "nominal-bits"],
        1,
        () => {
          const stored = (8 * bytesPerVector) / dim;
          insist(
            Math.abs(stored - bitsPerValue) < 1e-9,
            () =>
              `${bytesPerVector} bytes for ${dim} values are ${stored} bits each, said to be ${bitsPerValue}`,
          );
        },
      ),
    );
  if (scale) properties.push(...scaleRule(codec, scale, options.scaleBits ?? 11));
  if (codec.score) properties.push(scores(codec, codec.score.bind(codec)));
  if (nonFinite === "refused")
    properties.push(
      sampleProperty(
        SUITE,
        "NaN and infinities are refused",
        ["nan-silent", "overflow-silent"],
        1,
        async () => {
          for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
            const x = normals(dataStream(1), dim);
            x[Math.floor(dim / 2)] = bad;
            let refused = false;
            try {
              await codec.encode(x);
            } catch {
              refused = true;
            }
            insist(refused, () => `a vector with ${bad} was encoded`);
          }
        },
      ),
    );
  return properties;
}

/** ⟨x,x̂⟩ and ‖x̂‖² that each rule promises, for every vector, up to the rounding of the stored scale. */
const RATIOS: Readonly<Record<ScaleRule, (x: Float32Array, back: Float32Array) => number>> = {
  "least-squares": (x, back) => dotOf(back, back) / dotOf(x, back),
  "norm-matching": (x, back) => normOf(back) / normOf(x),
  unbiased: (x, back) => dotOf(x, back) / dotOf(x, x),
};

function scaleRule(codec: CodecUnderTest, rule: ScaleRule, scaleBits: number): Property[] {
  const ratioOf = async (x: Float32Array): Promise<[number, Float32Array]> => {
    const back = await codec.decode(await codec.encode(x));
    return [RATIOS[rule](x, back), back];
  };
  const limit = 2 ** -scaleBits * 1.02 + 1e-6;
  return [
    sampleProperty(
      SUITE,
      `the scale is ${rule}, for every vector`,
      ["scale-rule", "norm-raw", "norm-ignored", "norm-block"],
      200,
      async (seed, runs) => {
        const stream = dataStream(seed);
        for (let i = 0; i < runs; i++) {
          const x = normals(stream, codec.dim).map((v, at) => v * (at % 7 === i % 7 ? 5 : 1));
          const [ratio, back] = await ratioOf(x);
          if (Math.abs(ratio - 1) <= limit) continue;
          const other = Object.entries(RATIOS).find(([, of]) => Math.abs(of(x, back) - 1) <= limit);
          const reason = `vector ${i} has the ratio ${ratio.toPrecision(6)}, expected 1 within ${limit.toExponential(1)}`;
          if (other) throw new Suspicion(`${reason}; it is that of ${other[0]}`, ["scale-rule"]);
          throw new Error(reason);
        }
      },
    ),
    sampleProperty(
      SUITE,
      "the stored scale is rounded to nearest, not towards zero",
      ["norm-f16-truncated"],
      2000,
      async (seed, runs) => {
        const stream = dataStream(seed);
        const ratios: number[] = [];
        for (let i = 0; i < runs; i++) {
          const size = 1 + (i % 97) / 97; // over a binade, so that roundings are spread
          ratios.push((await ratioOf(normals(stream, codec.dim).map((v) => v * size)))[0]);
        }
        insistMean("the mean ratio", sample(ratios), 1);
      },
    ),
  ];
}

function scores(codec: CodecUnderTest, score: NonNullable<CodecUnderTest["score"]>): Property {
  return exampleProperty(
    SUITE,
    "a score is the inner product with the decoded vector",
    ["query-not-rotated", "rotation-transposed", "qjl-dead", "qjl-projection-once", "norm-ignored"],
    fc.nat(),
    async (data) => {
      const stream = dataStream(data);
      const query = normals(stream, codec.dim);
      const bytes = await codec.encode(normals(stream, 3 * codec.dim));
      const got = await score(query.slice(), bytes);
      const decoded = await codec.decode(bytes);
      insist(got.length === 3, () => `gave ${got.length} scores for 3 vectors`);
      for (let i = 0; i < 3; i++) {
        const row = decoded.subarray(i * codec.dim, (i + 1) * codec.dim);
        const off = Math.abs(got[i]! - dotOf(query, row)) / (normOf(query) * normOf(row));
        insist(off < 2e-5, () => `score ${i} is ${got[i]}, the decoded vector gives ${dotOf(query, row)}`);
      }
    },
  );
}
