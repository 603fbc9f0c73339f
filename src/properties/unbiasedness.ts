/** Is the mean of ⟨q,x̂⟩ over rotations (and sketches) exactly ⟨q,x⟩, for every pair? Two-sided. */
import type { CodecUnderTest } from "./codec.js";
import { dataStream, normals } from "./inputs.js";
import { type Awaitable, insist, type Property, sampleProperty } from "./property.js";
import { dotOf, insistMean, normOf, sample } from "./statistics.js";

const SUITE = "unbiasedness";
const FAULTS = [
  "scale-rule",
  "qjl-scale",
  "qjl-dead",
  "qjl-norm",
  "qjl-basis",
  "qjl-projection-once",
  "qjl-seed-shared",
  "bits-include-qjl",
  "norm-raw",
] as const;

/** open: the codec under a seed of its rotation and sketch. For formats that promise unbiased inner products. */
export function unbiasednessSuite(open: (seed: number) => Awaitable<CodecUnderTest>): readonly Property[] {
  /** Estimates of one pair over seeds. */
  const over = async (
    query: Float32Array,
    x: Float32Array,
    seed: number,
    runs: number,
  ): Promise<number[]> => {
    const estimates: number[] = [];
    for (let i = 0; i < runs; i++) {
      const codec = await open(seed + i);
      const bytes = await codec.encode(x.slice());
      const estimate = codec.score
        ? (await codec.score(query.slice(), bytes))[0]!
        : dotOf(query, await codec.decode(bytes));
      estimates.push(estimate);
    }
    return estimates;
  };
  const pair = (
    name: string,
    runs: number,
    query: (x: Float32Array, noise: Float32Array) => Float32Array,
  ): Property =>
    sampleProperty(SUITE, name, FAULTS, runs, async (seed, n) => {
      const { dim } = await open(seed);
      const stream = dataStream(seed);
      const x = normals(stream, dim).map((v, i) => v * (i % 5 ? 1 : 4));
      const q = query(x, normals(stream, dim));
      const exact = dotOf(q, x);
      const found = sample(await over(q, x, seed, n));
      insistMean("the mean estimate", found, exact);
      insist(
        5 * found.se < 0.2 * normOf(q) * normOf(x),
        () => `the estimates spread so much (± ${found.se.toPrecision(2)}) that ${n} seeds show nothing`,
      );
    });
  return [
    pair("a query along the key", 2000, (x) => x.slice()),
    pair("a query partly along the key", 2000, (x, noise) => x.map((v, i) => v + 2 * noise[i]!)),
    pair("a query that is one channel", 2000, (x) => x.map((_, i) => (i === x.length >> 1 ? 3 : 0))),
  ];
}
