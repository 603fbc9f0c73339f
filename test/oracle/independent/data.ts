/** Inputs of many kinds, (n, dim) f32. */
import { Dice, f32 } from "./numbers.js";

export type DataKind = "gauss" | "few" | "mixed" | "heavy" | "outliers" | "offset";

export function dataOf(kind: DataKind, dim: number, seed: number, vectors?: number): Float32Array {
  const d = new Dice(seed);
  const n = vectors ?? { gauss: 128, few: 24, mixed: 160, heavy: 64, outliers: 96, offset: 64 }[kind];
  const x = new Float32Array(n * dim);
  const channels = new Set(Array.from({ length: 4 }, () => Math.floor(d.uniform() * dim)));
  const bias = Array.from({ length: dim }, () => 4 * d.normal());
  for (let v = 0; v < n; v++) {
    const kindOf = kind === "mixed" ? v % 16 : -1;
    for (let i = 0; i < dim; i++) {
      let t = d.normal();
      if (kind === "heavy" || kindOf === 3) t /= Math.sqrt((d.normal() ** 2 + d.normal() ** 2) / 2 + 0.02);
      if ((kind === "outliers" || kindOf === 5) && channels.has(i)) t *= 20;
      if (kind === "offset" || kindOf === 7) t += bias[i]!;
      if (kind === "heavy") t *= 0.2 + (v % 7);
      if (kindOf === 8) t *= 0.003;
      if (kindOf === 9) t *= 90;
      if (v % 64 === 26 && kindOf >= 0) t = i === v % dim ? 3 : 0;
      if (v % 64 === 42 && kindOf >= 0) t = 0.75;
      if (v % 64 === 58 && kindOf >= 0) t = i % 2 ? -1.5 : 1.5;
      if (v === 90 && kindOf >= 0) t = 0;
      x[v * dim + i] = f32(t);
    }
  }
  return x;
}
