/** What a format's own table costs against the converged one: a format may be right by its bytes and still lose more. */
import { lloydMax } from "../../core/lloyd-max.js";
import type { Check } from "../verdict.js";
import type { Wire } from "./wire.js";

/** Above this many times the least distortion a table is a fault of the format itself. */
const LIMIT = 1.05;

export function tableCheck(wire: Wire): Check {
  const own = gaussianDistortion(wire.centroids, wire.boundaries, 1 / Math.sqrt(wire.group));
  const best = lloydMax({ bits: wire.bits, distribution: "gaussian" }).distortion;
  const ratio = own / best;
  if (ratio <= LIMIT) return { id: "codebook-lloyd-max", status: "pass", value: ratio, limit: LIMIT };
  return {
    // ONNX Runtime's table is converged, for heads of 128; the llama fork's turbo4 is not, for any.
    id: wire.name.startsWith("onnxruntime") ? "codebook-sigma" : "codebook-unconverged",
    status: "fail",
    value: `D = ${own.toFixed(5)} with the format's own table, ${best.toFixed(5)} with the converged one: ${ratio.toFixed(2)} times`,
    limit: LIMIT,
  };
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
