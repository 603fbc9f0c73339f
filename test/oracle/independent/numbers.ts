/** Halves, random numbers and transforms for the independent mutants, written from the specification alone. */
export const f32 = Math.fround;

const view = new DataView(new ArrayBuffer(8));

/** f32 → the bits of a half, to nearest even. */
export function halfBits(value: number): number {
  view.setFloat32(0, value);
  const u = view.getUint32(0);
  const sign = (u >>> 16) & 0x8000;
  const a = Math.abs(f32(value));
  if (Number.isNaN(a)) return 0x7e00;
  if (a >= 65520) return sign | 0x7c00;
  if (a < 2 ** -24 / 2) return sign;
  const e = Math.max(-14, Math.floor(Math.log2(a)));
  const step = 2 ** (e - 10);
  const q = a / step;
  let n = Math.floor(q);
  const rest = q - n;
  if (rest > 0.5 || (rest === 0.5 && n % 2 === 1)) n++;
  if (e === -14 && n < 1024) return sign | n;
  return sign | (((e + 15) << 10) + n - 1024);
}

export function halfValue(bits: number): number {
  const e = (bits >> 10) & 31;
  const m = bits & 1023;
  const s = bits & 0x8000 ? -1 : 1;
  if (e === 31) return m ? Number.NaN : s * Number.POSITIVE_INFINITY;
  return s * (e === 0 ? m * 2 ** -24 : (1024 + m) * 2 ** (e - 25));
}

/** Toward zero. */
export function halfDown(value: number): number {
  const bits = halfBits(value);
  return Number.isFinite(value) && Math.abs(halfValue(bits)) > Math.abs(value) ? bits - 1 : bits;
}

export const toHalf = (v: number): number => halfValue(halfBits(v));

/** mulberry32 and Box–Muller. */
export class Dice {
  #s: number;
  constructor(seed: number) {
    this.#s = seed >>> 0;
  }
  uniform(): number {
    this.#s = (this.#s + 0x6d2b79f5) >>> 0;
    let t = this.#s;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }
}

/** Butterflies in f32, natural order, on runs of `block`. */
export function butterflies(x: Float32Array, block: number): void {
  for (let h = 1; h < block; h *= 2)
    for (let i = 0; i < x.length; i += 2 * h)
      for (let j = i; j < i + h; j++) {
        const [a, b] = [x[j]!, x[j + h]!];
        x[j] = a + b;
        x[j + h] = a - b;
      }
}

const mask = (hex: string): number[] =>
  Array.from({ length: 128 }, (_, i) =>
    (Number.parseInt(hex.slice(2 * (i >> 3), 2 * (i >> 3) + 2), 16) >> (i & 7)) & 1 ? -1 : 1,
  );
/** The llama fork's diagonals. */
export const S1 = mask("59036ae44959f842bb3bc6a4a950f249");
export const S2 = mask("90eeac16dc8f623f7a35a5b76265a5be");

/** z ← after ⊙ H (before ⊙ z)/√block. */
export function signedHadamard(
  z: Float32Array,
  block: number,
  before?: readonly number[],
  after?: readonly number[],
): void {
  if (before) for (let i = 0; i < z.length; i++) z[i]! *= before[i]!;
  butterflies(z, block);
  const unit = f32(1 / Math.sqrt(block));
  for (let i = 0; i < z.length; i++) z[i] = f32(z[i]! * unit) * (after?.[i] ?? 1);
}

/** ‖x‖ in f32, in order. */
export function normOf(x: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum = f32(sum + f32(x[i]! * x[i]!));
  return f32(Math.sqrt(sum));
}

/** An orthogonal matrix by Gram–Schmidt of normals, row-major. */
export function orthogonal(n: number, seed: number): Float64Array {
  const d = new Dice(seed);
  const m = Float64Array.from({ length: n * n }, () => d.normal());
  for (let r = 0; r < n; r++) {
    for (let q = 0; q < r; q++) {
      let s = 0;
      for (let i = 0; i < n; i++) s += m[r * n + i]! * m[q * n + i]!;
      for (let i = 0; i < n; i++) m[r * n + i]! -= s * m[q * n + i]!;
    }
    let s = 0;
    for (let i = 0; i < n; i++) s += m[r * n + i]! ** 2;
    for (let i = 0; i < n; i++) m[r * n + i]! /= Math.sqrt(s);
  }
  return m;
}

export function product(m: ArrayLike<number>, x: Float32Array, transposed = false): Float32Array {
  const n = x.length;
  return Float32Array.from({ length: n }, (_, i) => {
    let s = 0;
    for (let j = 0; j < n; j++) s += (transposed ? m[j * n + i]! : m[i * n + j]!) * x[j]!;
    return s;
  });
}

/** Φ⁻¹ by bisection of an erf series: slow, plain. */
export function quantile(p: number): number {
  let low = -9;
  let high = 9;
  for (let k = 0; k < 80; k++) {
    const mid = (low + high) / 2;
    if (phi(mid) < p) low = mid;
    else high = mid;
  }
  return (low + high) / 2;
}

export function phi(t: number): number {
  if (t > 7) return 1;
  if (t < -7) return 0;
  // Simpson from 0.
  const n = 200;
  const h = t / n;
  let s = 0;
  for (let i = 0; i <= n; i++) s += Math.exp(-((i * h) ** 2) / 2) * (i === 0 || i === n ? 1 : i % 2 ? 4 : 2);
  return 0.5 + (s * h) / 3 / Math.sqrt(2 * Math.PI);
}

export const gauss = (t: number): number => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);

/** Lloyd's iterations for N(0,1) from a start. */
export function lloyd(start: readonly number[], iterations: number): number[] {
  let c = start.slice();
  for (let k = 0; k < iterations; k++) {
    const b = mids(c);
    c = c.map((_, i) => {
      const lo = i === 0 ? -9 : b[i - 1]!;
      const hi = i === c.length - 1 ? 9 : b[i]!;
      return (gauss(lo) - gauss(hi)) / (phi(hi) - phi(lo));
    });
  }
  return c;
}

export const mids = (c: readonly number[]): number[] => c.slice(1).map((v, i) => (v + c[i]!) / 2);
