/** The checklist of a fork, item by item, and what is reported although the bytes conform to the fork's own format. */
import { dot } from "../core/float.js";
import { lloydMax } from "../core/lloyd-max.js";
import { findFormat } from "../formats/registry.js";
import type { Comparison } from "./compare-packed.js";
import type { Check } from "./verdict.js";
import type { VerifyOptions } from "./verify-options.js";
import { wireOf } from "./wire.js";

/** ref: the format's own bytes of the input. */
export function advice(options: VerifyOptions, ref: Uint8Array, c: Comparison): Check[] {
  const { format, dim, input } = options;
  const side = options.side ?? "key";
  const codec = findFormat(format).open({ dim, side, seed: options.seed ?? 0, nonFinite: "sanitize" });
  const decoded = new Float32Array(input.length);
  codec.decode(options.packed?.length === ref.length ? options.packed : ref, decoded);
  const checks: Check[] = [...fidelity(input, decoded, dim)];
  checks.push({
    id: "within-tolerance",
    status: c.faulty ? "fail" : "pass",
    value: c.normUlps + c.boundaryFlips,
    limit: "norm 1 fp16 ulp, flips within 1e-6 of a boundary",
  });
  const wire = wireOf(format, dim, 0, side);
  if (!wire) return checks;
  checks.push({ id: "bits-per-value", status: "info", value: (8 * codec.bytesPerVector) / dim, limit: null });
  const own = gaussianDistortion(wire.centroids, wire.boundaries, 1 / Math.sqrt(wire.group));
  const best = lloydMax({ bits: wire.bits, distribution: "gaussian" }).distortion;
  const ratio = own / best;
  if (ratio > 1.05) {
    const id = format.startsWith("onnxruntime") ? "codebook-sigma" : "codebook-unconverged";
    checks.push({
      id,
      status: "fail",
      value: `D = ${own.toFixed(5)} with the format's own table, ${best.toFixed(5)} with the converged one: ${ratio.toFixed(2)} times`,
      limit: 1.05,
    });
  } else checks.push({ id: "codebook-lloyd-max", status: "pass", value: ratio, limit: 1.05 });
  return checks;
}

/** Expected squared error per variance of a table for N(0, σ²), by Simpson's rule on each cell. */
export function gaussianDistortion(centroids: Float64Array, boundaries: Float64Array, sigma: number): number {
  const edges = [-10, ...Array.from(boundaries, (b) => b / sigma), 10];
  let total = 0;
  for (let k = 0; k < centroids.length; k++) {
    const a = edges[k]!;
    const b = edges[k + 1]!;
    const c = centroids[k]! / sigma;
    const steps = 400;
    const h = (b - a) / steps;
    let sum = 0;
    for (let i = 0; i <= steps; i++) {
      const t = a + i * h;
      const f = ((t - c) ** 2 * Math.exp((-t * t) / 2)) / Math.sqrt(2 * Math.PI);
      sum += f * (i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2);
    }
    total += (sum * h) / 3;
  }
  return total;
}

function fidelity(x: Float32Array, y: Float32Array, dim: number): Check[] {
  let error = 0;
  let counted = 0;
  let cosine = 0;
  let slope = 0;
  for (let at = 0; at < x.length; at += dim) {
    const a = x.subarray(at, at + dim);
    const b = y.subarray(at, at + dim);
    const aa = dot(a, a);
    const bb = dot(b, b);
    if (!(aa > 1e-12) || !Number.isFinite(aa) || !Number.isFinite(bb) || !(bb > 0)) continue;
    const ab = dot(a, b);
    error += (aa - 2 * ab + bb) / aa;
    cosine += ab / Math.sqrt(aa * bb);
    slope += ab / aa;
    counted++;
  }
  const mean = (v: number): number | null => (counted > 0 ? v / counted : null);
  return [
    { id: "distortion", status: "info", value: mean(error), limit: null },
    { id: "cosine", status: "info", value: mean(cosine), limit: null },
    { id: "inner-product-slope", status: "info", value: mean(slope), limit: null },
  ];
}
