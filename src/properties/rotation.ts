/** Is it an orthogonal transform, its own inverse's inverse, and random enough to spread what is not Gaussian? */
import fc from "fast-check";
import { dataStream, normals, structured } from "./inputs.js";
import { type Awaitable, exampleProperty, insist, type Property, sampleProperty } from "./property.js";
import { dotOf, normOf } from "./statistics.js";

/** A rotation of somebody's, by dimension and seed. */
export interface RotationUnderTest {
  readonly dims: readonly number[];
  /** x: (dim,) → R x, a new array or x itself. */
  rotate(x: Float32Array, seed: number): Awaitable<Float32Array>;
  /** x: (dim,) → R⁻¹ x. */
  unrotate(x: Float32Array, seed: number): Awaitable<Float32Array>;
  /** False for a fixed transform: then no spread over seeds is asked for. Default true. */
  readonly seeded?: boolean;
}

const SUITE = "rotation";
/** Relative error that f32 butterflies may add up to. */
const F32 = 4e-6;

/** Orthonormality, the inverse, and (where seeded) the spread of what is not Gaussian. */
export function rotationSuite(r: RotationUnderTest): readonly Property[] {
  const example = fc.record({
    dim: fc.constantFrom(...r.dims),
    seed: fc.nat(),
    data: fc.nat(),
    magnitude: fc.constantFrom(1, 2 ** -12, 1000),
  });
  type Example = { dim: number; seed: number; data: number; magnitude: number };
  const vectors = ({ dim, data, magnitude }: Example): [Float32Array, Float32Array] => {
    const stream = dataStream(data);
    const draw = () => normals(stream, dim).map((v) => v * magnitude);
    return [draw(), draw()];
  };
  return [
    exampleProperty(
      SUITE,
      "keeps norms and inner products",
      ["rotation-scale", "rotation-f16", "rotation-double", "rotation-missing"],
      example,
      async (e) => {
        const [x, y] = vectors(e);
        const product = dotOf(x, y);
        const size = normOf(x) * normOf(y);
        const norm = normOf(x);
        const rx = await r.rotate(x.slice(), e.seed);
        const ry = await r.rotate(y.slice(), e.seed);
        insist(rx.length === e.dim, () => `gave ${rx.length} coordinates for ${e.dim}`);
        const stretch = normOf(rx) / norm;
        insist(
          Math.abs(stretch - 1) < F32,
          () =>
            `‖R x‖ is ${stretch.toPrecision(7)} times ‖x‖ (√2 = 1.41421, √${e.dim} = ${Math.sqrt(e.dim).toPrecision(6)})`,
        );
        const off = Math.abs(dotOf(rx, ry) - product) / size;
        insist(off < F32, () => `⟨R x, R y⟩ is ${off.toExponential(1)} of ‖x‖‖y‖ away from ⟨x,y⟩`);
      },
    ),
    exampleProperty(
      SUITE,
      "un-rotating gives back what was rotated, either way round",
      ["rotation-signs-swapped", "rotation-transposed", "rotation-double", "rotation-f16"],
      example,
      async (e) => {
        const [x] = vectors(e);
        const there = await r.unrotate(await r.rotate(x.slice(), e.seed), e.seed);
        const back = await r.rotate(await r.unrotate(x.slice(), e.seed), e.seed);
        for (const [name, got] of [
          ["R⁻¹ R x", there],
          ["R R⁻¹ x", back],
        ] as const) {
          const off = normOf(got.map((v, i) => v - x[i]!)) / normOf(x);
          insist(off < F32, () => `${name} differs from x by ${off.toExponential(1)} of its norm`);
        }
      },
    ),
    sampleProperty(
      SUITE,
      "no single vector becomes a spike",
      ["rotation-missing", "rotation-unsigned", "rotation-signs-after"],
      64,
      async (seed, runs) => {
        for (const dim of r.dims)
          for (const [name, x] of structured(dim)) {
            // A spike holds all energy in one coordinate of a block; a random one at most about 2 ln(dim)/dim.
            let most = 0;
            for (let i = 0; i < runs; i++) {
              const y = await r.rotate(x.slice(), seed + i);
              most += Math.max(...y.map((v) => v * v)) / (dotOf(x, x) * runs);
            }
            insist(
              most < 0.5,
              () =>
                `${name} of dim ${dim} keeps ${(100 * most).toFixed(0)} % of its energy in one coordinate`,
            );
          }
      },
    ),
    ...(r.seeded === false ? [] : [seedsDiffer(r)]),
  ];
}

function seedsDiffer(r: RotationUnderTest): Property {
  return sampleProperty(
    SUITE,
    "another seed is another rotation",
    ["rotation-unsigned", "rotation-missing", "rotation-signs-after"],
    32,
    async (seed, runs) => {
      for (const dim of r.dims) {
        const x = normals(dataStream(seed), dim);
        const first = await r.rotate(x.slice(), seed);
        let alike = 0;
        for (let i = 1; i <= runs; i++) {
          const other = await r.rotate(x.slice(), seed + i);
          // Signs after H alone flip coordinates and move nothing: compare magnitudes.
          if (other.every((v, at) => Math.abs(Math.abs(v) - Math.abs(first[at]!)) < 1e-6 * normOf(x)))
            alike++;
        }
        insist(alike === 0, () => `${alike} of ${runs} other seeds give the same magnitudes at dim ${dim}`);
      }
    },
  );
}
