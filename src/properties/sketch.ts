/** QJL by itself: mean and variance of ⟨q,r⟩ estimated from the signs of S r (arXiv 2406.03482). */
import { dataStream, normals } from "./inputs.js";
import { type Awaitable, insist, type Property, sampleProperty } from "./property.js";
import { dotOf, insistMean, sample, sampleVariance } from "./statistics.js";

/** A 1-bit sketch of residuals of somebody's. */
export interface SketchUnderTest {
  readonly dim: number;
  /** m: how many signs are kept. */
  readonly rows: number;
  /** i.i.d. N(0,1) rows, whose variance is known exactly, or orthogonal ones, whose variance is smaller. */
  readonly kind: "gaussian" | "orthogonal";
  /** The estimate of ⟨query, residual⟩ under a seed, through norm and signs as they are stored. */
  estimate(query: Float32Array, residual: Float32Array, seed: number): Awaitable<number>;
}

const SUITE = "sketch";

/** Mean and variance of the estimate over seeds, two-sided, for a query that leans to the residual and for one that does not. */
export function sketchSuite(s: SketchUnderTest): readonly Property[] {
  const draw = async (seed: number, runs: number, alike: number) => {
    const stream = dataStream(seed);
    const r = normals(stream, s.dim);
    const q = normals(stream, s.dim).map((v, i) => v + alike * r[i]!);
    const estimates: number[] = [];
    for (let i = 0; i < runs; i++) estimates.push(await s.estimate(q.slice(), r.slice(), seed + i));
    return { q, r, estimates };
  };
  return [
    sampleProperty(
      SUITE,
      "the mean over seeds is ⟨q,r⟩",
      ["qjl-scale", "qjl-dead", "qjl-norm", "qjl-projection-once", "qjl-transpose-missing"],
      4000,
      async (seed, runs) => {
        const { q, r, estimates } = await draw(seed, runs, 1);
        insistMean("the mean estimate", sample(estimates), dotOf(q, r));
      },
    ),
    sampleProperty(
      SUITE,
      s.kind === "gaussian"
        ? "the variance is (π/2 ‖r‖²‖q‖² − ⟨q,r⟩²)/m"
        : "the variance is below that of Gaussian rows, not zero",
      ["qjl-norm", "qjl-scale", "qjl-seed-shared"],
      4000,
      async (seed, runs) => {
        const { q, r, estimates } = await draw(seed, runs, 0);
        const exact = ((Math.PI / 2) * dotOf(r, r) * dotOf(q, q) - dotOf(q, r) ** 2) / s.rows;
        const found = sampleVariance(estimates);
        if (s.kind === "gaussian") insistMean("the variance", found, exact);
        else
          insist(
            found.mean < 0.6 * exact && found.mean > 0.1 * exact,
            () =>
              `the variance is ${(found.mean / exact).toFixed(3)} of that of Gaussian rows, expected about 1/2.75`,
          );
      },
    ),
  ];
}
