/** The checklist of a fork, item by item, and what is reported although the bytes conform to the fork's own format. */
import { dot } from "../core/float.js";
import { findFormat } from "../formats/registry.js";
import type { Comparison } from "./compare-packed.js";
import { tableCheck } from "./pipeline/table-check.js";
import { wireOf } from "./pipeline/wire.js";
import type { Check } from "./verdict.js";
import type { VerifyOptions } from "./verify-options.js";

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
  checks.push(tableCheck(wire));
  return checks;
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
