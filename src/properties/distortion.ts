/**
 * Is the error that of the codebook, no more and no less? The error is taken without the scale (1 − cos²), so that no
 * scale rule can hide or add to it, and compared with an f64 simulation of the ideal quantiser: uniform directions,
 * nearest cell, the codebook's own centroids.
 */
import { type Distribution, lloydMax } from "../core/lloyd-max.js";
import type { CodecUnderTest } from "./codec.js";
import { dataStream, normals, structured } from "./inputs.js";
import { type Awaitable, insist, type Property, sampleProperty } from "./property.js";
import { angleError, distance, LIMIT, type Sample, sample } from "./statistics.js";

/** The codebook whose own distortion is to be met. */
export interface DistortionOptions {
  /** Bits per code. */
  readonly bits: number;
  /** What the codebook is for: N(0,1) (default), or a coordinate of a unit vector. */
  readonly distribution?: Distribution;
}

const SUITE = "distortion";

/** open: the codec under a seed of its rotation. */
export function distortionSuite(
  open: (seed: number) => Awaitable<CodecUnderTest>,
  options: DistortionOptions,
): readonly Property[] {
  return [
    sampleProperty(
      SUITE,
      "random directions lose what the codebook loses",
      ["codebook-unconverged", "codebook-sigma", "codebook-uniform", "pack-plane-missing", "decode-zero"],
      1500,
      async (seed, runs) => {
        const { found, dim } = await measured(open, seed, runs, (stream, n) => normals(stream, n));
        const ideal = idealError(dim, options, 6000);
        const off = distance(found, ideal);
        insist(
          off < LIMIT,
          () =>
            `D is ${found.mean.toPrecision(4)} ± ${found.se.toPrecision(2)}, expected ${ideal.mean.toPrecision(4)} at dim ${dim}: ${off.toFixed(1)} standard errors away`,
        );
      },
    ),
    sampleProperty(
      SUITE,
      "one channel ten times as large costs nothing",
      ["rotation-missing", "rotation-unsigned", "rotation-signs-after", "norm-block"],
      600,
      async (seed, runs) => {
        const { found, dim } = await measured(open, seed, runs, (stream, n) => {
          const x = normals(stream, n);
          x[n >> 1]! *= 10;
          return x;
        });
        const ideal = idealError(dim, options, 6000);
        insist(
          found.mean - LIMIT * found.se < 1.15 * ideal.mean,
          () =>
            `D is ${found.mean.toPrecision(4)} ± ${found.se.toPrecision(2)}, that of random directions ${ideal.mean.toPrecision(4)}`,
        );
      },
    ),
    sampleProperty(
      SUITE,
      "one-hot, constant and Walsh vectors are no disaster under any seed",
      ["rotation-unsigned", "rotation-missing", "rotation-signs-after"],
      40,
      async (seed, runs) => {
        const { dim } = await open(seed);
        const ideal = idealError(dim, options, 2000);
        for (const [name, x] of structured(dim)) {
          const errors: number[] = [];
          for (let i = 0; i < runs; i++) errors.push(await errorOf(await open(seed + i), x));
          const found = sample(errors);
          insist(
            found.mean < 3 * ideal.mean,
            () =>
              `${name} has D ${found.mean.toPrecision(3)} over ${runs} seeds, random directions ${ideal.mean.toPrecision(3)}`,
          );
        }
      },
    ),
  ];
}

const errorOf = async (codec: CodecUnderTest, x: Float32Array): Promise<number> =>
  angleError(x, await codec.decode(await codec.encode(x.slice())));

/** D over vectors of a stream: 50 to a seed of the codec. */
async function measured(
  open: (seed: number) => Awaitable<CodecUnderTest>,
  seed: number,
  runs: number,
  draw: (stream: ReturnType<typeof dataStream>, dim: number) => Float32Array,
): Promise<{ found: Sample; dim: number }> {
  const stream = dataStream(seed);
  const errors: number[] = [];
  let dim = 0;
  for (let i = 0; errors.length < runs; i++) {
    const codec = await open(seed + i);
    dim = codec.dim;
    const n = Math.min(50, runs - errors.length);
    const x = new Float32Array(n * dim);
    for (let v = 0; v < n; v++) x.set(draw(stream, dim), v * dim);
    const back = await codec.decode(await codec.encode(x.slice()));
    for (let v = 0; v < n; v++) {
      const [from, to] = [v * dim, (v + 1) * dim];
      errors.push(angleError(x.subarray(from, to), back.subarray(from, to)));
    }
  }
  return { found: sample(errors), dim };
}

const ideals = new Map<string, Sample>();

/** 1 − cos² of uniform directions through an ideal quantiser in f64, with its own standard error. */
function idealError(dim: number, { bits, distribution = "gaussian" }: DistortionOptions, n: number): Sample {
  const key = JSON.stringify([dim, bits, distribution, n]);
  const known = ideals.get(key);
  if (known) return known;
  const { centroids, boundaries } = lloydMax({ bits, distribution });
  const unit = distribution === "gaussian" ? Math.sqrt(dim) : 1;
  const stream = dataStream(2 ** 31 + dim);
  const z = new Float64Array(dim);
  const c = new Float64Array(dim);
  const errors = Array.from({ length: n }, () => {
    let squares = 0;
    for (let i = 0; i < dim; i++) {
      z[i] = stream.normal();
      squares += z[i]! * z[i]!;
    }
    const scale = unit / Math.sqrt(squares);
    for (let i = 0; i < dim; i++) {
      z[i]! *= scale;
      let cell = 0;
      while (cell < boundaries.length && z[i]! >= boundaries[cell]!) cell++;
      c[i] = centroids[cell]!;
    }
    return angleError(z, c);
  });
  const ideal = sample(errors);
  ideals.set(key, ideal);
  return ideal;
}
