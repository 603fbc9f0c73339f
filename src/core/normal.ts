// biome-ignore-all lint/correctness/noPrecisionLoss: published coefficients
/**
 * The inverse of the normal distribution function, from + − × ÷ √ on doubles alone: the same bits in every
 * engine, which Math.log and Math.cos do not promise.
 *
 * Wichura's AS 241, PPND16 (Applied Statistics 37, 1988), relative accuracy about 1e-16, with a logarithm of our
 * own for the tails: ln x = e·ln 2 + 2·artanh((m − 1)/(m + 1)), m in [√½, √2).
 */

const horner = (c: readonly number[], x: number): number => {
  let sum = c[c.length - 1]!;
  for (let i = c.length - 2; i >= 0; i--) sum = sum * x + c[i]!;
  return sum;
};

// biome-ignore format: coefficient tables
const A = [3.3871328727963666080, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3];
// biome-ignore format: coefficient tables
const B = [1, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3];
// biome-ignore format: coefficient tables
const C = [1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504, 1.27045825245236838258, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4];
// biome-ignore format: coefficient tables
const D = [1, 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1, 1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9];
// biome-ignore format: coefficient tables
const E = [6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7];
// biome-ignore format: coefficient tables
const F = [1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2, 7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15];

/** ln x for 2^-60 < x < 1. */
function logarithm(x: number): number {
  let mantissa = x;
  let exponent = 0;
  while (mantissa < Math.SQRT1_2) {
    mantissa *= 2;
    exponent--;
  }
  const t = (mantissa - 1) / (mantissa + 1); // |t| ≤ 0.1716: 13 terms reach 2^-53
  const t2 = t * t;
  let sum = 0;
  for (let k = 25; k >= 1; k -= 2) sum = sum * t2 + 1 / k;
  return exponent * Math.LN2 + 2 * t * sum;
}

/** x with P(N(0,1) < x) = p. p in (0, 1). */
export function inverseNormal(p: number): number {
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    return (q * horner(A, r)) / horner(B, r);
  }
  const r = Math.sqrt(-logarithm(q < 0 ? p : 1 - p));
  const tail = r <= 5 ? horner(C, r - 1.6) / horner(D, r - 1.6) : horner(E, r - 5) / horner(F, r - 5);
  return q < 0 ? -tail : tail;
}
