/**
 * vLLM's key codebook for N(0, 1/d): Lloyd's iteration as its `solve_lloyd_max` runs it, in f64. Start from 2^bits
 * cell centres of ±3.5σ; per round every cell mean is a ratio of two 200-point trapezoid sums (outer cells end at
 * ±10.5σ); at most 200 rounds, stop when no centroid moves by 1e-10. The result is up to 1.5e-4 from the fixed
 * point of core/lloyd-max: it has not converged, and the format is what the engine has.
 *
 * The only transcendental is the Gaussian's exp, in table making; the tests hold the tables of d = 64, 128 and 256
 * against recorded ones, bit for bit.
 */
import { type NativeCodebook, nativeCodebook } from "./native-codebook.js";

const POINTS = 200;
const ROUNDS = 200;
const TOLERANCE = 1e-10;

function trapezoid(f: (x: number) => number, a: number, b: number): number {
  const h = (b - a) / POINTS;
  let sum = 0.5 * (f(a) + f(b));
  for (let i = 1; i < POINTS; i++) sum += f(a + i * h);
  return sum * h;
}

function solve(dim: number, bits: number): number[] {
  const levels = 2 ** bits;
  const variance = 1 / dim;
  const sigma = Math.sqrt(variance);
  const density = (x: number): number =>
    (1 / Math.sqrt(2 * Math.PI * variance)) * Math.exp((-x * x) / (2 * variance));
  const moment = (x: number): number => x * density(x);
  const lo = -3.5 * sigma;
  const hi = 3.5 * sigma;
  let centroids = Array.from({ length: levels }, (_, i) => lo + ((hi - lo) * (i + 0.5)) / levels);
  for (let round = 0; round < ROUNDS; round++) {
    const edges = [lo * 3, ...midpoints(centroids), hi * 3];
    const next = centroids.map((c, i) => {
      const mass = trapezoid(density, edges[i]!, edges[i + 1]!);
      return mass > 1e-15 ? trapezoid(moment, edges[i]!, edges[i + 1]!) / mass : c;
    });
    const moved = Math.max(...next.map((c, i) => Math.abs(c - centroids[i]!)));
    if (moved < TOLERANCE) break;
    centroids = next;
  }
  return centroids;
}

const midpoints = (c: readonly number[]): number[] => c.slice(1).map((v, i) => (c[i]! + v) / 2);

const books = new Map<string, NativeCodebook>();

/** The codebook of `bits` bits for heads of `dim`; boundaries are f32 midpoints of the f32 centroids. */
export function vllmCodebook(dim: number, bits: 3 | 4): NativeCodebook {
  const key = `${dim}/${bits}`;
  let book = books.get(key);
  if (!book) {
    const centroids = Float32Array.from(solve(dim, bits));
    const boundaries = centroids.slice(1).map((v, i) => Math.fround(centroids[i]! + v) / 2);
    book = nativeCodebook(centroids, boundaries);
    books.set(key, book);
  }
  return book;
}
