/**
 * The rotation of a seed. Its stream is labelled, so no data stream of the same seed can coincide with it.
 *
 * DEVIATION from independent random signs: for a codebook, s₁ is chosen. A constant vector, and every row of H, leaves H (s₁ ⊙ x) with the same values in
 * another order: sums of signs, which lie on a lattice that a codebook may fit better or worse than it fits a
 * Gaussian (up to a third worse on average at 64 × 4 bits). So the signs of each block are drawn again until what is
 * drawn so far costs such a vector no more than a random one costs on average: sin²θ ≤ E sin²θ (angle-error.ts).
 * Then every constant vector and Walsh row is no worse than random ones under every seed, whatever the scale rule.
 *
 * The choice depends on the values of H s₁ in a block up to order and a common sign alone, which no product of s₁
 * with a row of H and no change of a block's sign alters. Multiplied by one of those, accepted signs are accepted and
 * equally likely: so they have mean zero and are pairwise uncorrelated, as independent ones are.
 */
import { meanAngleError } from "./angle-error.js";
import { type Codebook, dequantize, quantize } from "./codebook.js";
import { type RandomStream, randomStream, type Seed } from "./random.js";
import { assertRotates, hadamardBlock, type Rotation, rotationFrom, wht } from "./wht.js";

/** Most draws for a block; the best of them is taken. The rarest width in use, 6 bits at blocks of 512, accepts one in 110. */
const MOST_DRAWS = 4096;

/** What a seeded rotation is drawn for. */
export interface SeededRotationOptions {
  /** Of the random stream: 1 to 8 letters. Default "rotation". */
  readonly label?: string;
  /** What rotated coordinates will be rounded to; without it the first signs drawn are taken. */
  readonly codebook?: Codebook;
}

/** @throws TypeError, RangeError for a dimension that does not rotate. */
export function seededRotation(dim: number, seed: Seed, options: SeededRotationOptions = {}): Rotation {
  assertRotates(dim);
  const { label = "rotation", codebook } = options;
  const stream = randomStream(seed, label);
  const block = hadamardBlock(dim);
  const before = codebook ? chosenSigns(stream, dim, block, codebook) : signs(stream, dim);
  return rotationFrom(before, signs(stream, dim), block);
}

function signs(stream: RandomStream, n: number): Float32Array {
  const drawn = new Float32Array(n);
  for (let i = 0; i < n; i++) drawn[i] = stream.sign();
  return drawn;
}

function chosenSigns(stream: RandomStream, dim: number, block: number, codebook: Codebook): Float32Array {
  const limit = meanAngleError(dim, codebook);
  const products = walshProducts(block, codebook);
  const chosen = new Float32Array(dim);
  let total: Products = { zc: 0, cc: 0 };
  for (let at = 0; at < dim; at += block) {
    let least = Number.POSITIVE_INFINITY;
    let best = total;
    for (let draw = 0; draw < MOST_DRAWS && least > limit; draw++) {
      const drawn = signs(stream, block);
      const own = products(drawn);
      const zc = total.zc + own.zc;
      const cc = total.cc + own.cc;
      const error = 1 - (zc * zc) / ((at + block) * cc);
      if (error >= least) continue;
      least = error;
      best = { zc, cc };
      chosen.set(drawn, at);
    }
    total = best;
  }
  return chosen;
}

interface Products {
  readonly zc: number;
  readonly cc: number;
}

/** ⟨z,c⟩ and ⟨c,c⟩ of z = H s/√block, whose norm is √block, and its centroids, for signs s: (block,). */
function walshProducts(
  block: number,
  { centroids, boundaries }: Codebook,
): (drawn: Float32Array) => Products {
  const unit = 1 / Math.sqrt(block);
  const z = new Float32Array(block);
  const c = new Float32Array(block);
  const codes = new Uint8Array(block);
  return (drawn) => {
    z.set(drawn);
    wht(z, block);
    for (let i = 0; i < block; i++) z[i]! *= unit;
    quantize(z, boundaries, codes);
    dequantize(codes, centroids, c);
    let zc = 0;
    let cc = 0;
    for (let i = 0; i < block; i++) {
      zc += z[i]! * c[i]!;
      cc += c[i]! * c[i]!;
    }
    return { zc, cc };
  };
}
