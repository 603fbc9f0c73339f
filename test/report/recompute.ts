/** The report's figures again, straight from their definitions, in f64, with no code of src/report. */
import { expect } from "vitest";
import { readSafetensors, tensorToF32 } from "../../src/files/safetensors.js";
import { createCodec } from "../../src/index.js";
import type { Quality } from "../../src/report/quality.js";

type Numbers = number[];
const rows = (x: Float32Array, h: number, n: number, dim: number): Numbers[] =>
  Array.from({ length: n }, (_, i) => Array.from(x.subarray((h * n + i) * dim, (h * n + i + 1) * dim)));
const dot = (a: Numbers, b: Numbers): number => a.reduce((s, v, i) => s + v * b[i]!, 0);
const average = (x: Numbers): number => x.reduce((a, b) => a + b, 0) / x.length;
const softmax = (l: Numbers): Numbers => {
  const e = l.map((v) => Math.exp(v - Math.max(...l)));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
};

/** key, value: formats; seeds: of the bias, the first of everything else. */
export async function recompute(
  file: string,
  key: string,
  value: string,
  center: boolean,
  seeds: number[],
): Promise<Omit<Quality, "byHead">> {
  const { tensors } = await readSafetensors(file);
  let [ke, kk, ve, vv, le, ll, kl, cos, n] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  const slopes: number[] = [];
  for (const name of [...tensors.keys()].filter((t) => t.endsWith(".key"))) {
    const K = tensors.get(name)!;
    const Q = tensors.get(name.replace("key", "query"))!;
    const [G, T, d] = K.shape as [number, number, number];
    const [H, N] = Q.shape as [number, number, number];
    for (let g = 0; g < G; g++) {
      const k = rows(tensorToF32(K), g, T, d);
      const v = rows(tensorToF32(tensors.get(name.replace("key", "value"))!), g, T, d);
      const m = k[0]!.map((_, j) => average(k.map((row) => row[j]!)));
      const flat = (x: Numbers[]): Float32Array => Float32Array.from(x.flat());
      const through = (
        format: string,
        x: Numbers[],
        side: "key" | "value",
        seed: number,
        c?: Numbers,
      ): Numbers[] => {
        const codec = createCodec(format, {
          dim: d,
          seed,
          side,
          ...(c ? { center: Float32Array.from(c) } : {}),
        });
        return rows(codec.decode(codec.encode(flat(x))), 0, T, d);
      };
      seeds.forEach((seed, round) => {
        const kc = through(key, k, "key", seed, center ? m : undefined);
        let cross = 0;
        let square = 0;
        for (let h = 0; h < H; h++) {
          if (Math.floor((h * G) / H) !== g) continue;
          rows(tensorToF32(Q), h, N, d).forEach((q, t) => {
            for (let i = 0; i <= T - N + t; i++) {
              const exact = dot(q, k[i]!) - dot(q, m);
              cross += exact * (dot(q, kc[i]!) - dot(q, m));
              square += exact * exact;
            }
          });
        }
        slopes.push(cross / square - 1);
        if (round > 0) return;
        const vc = through(value, v, "value", seed);
        k.forEach((row, i) => {
          row.forEach((x, j) => {
            ke += (x - kc[i]![j]!) ** 2;
            kk += (x - m[j]!) ** 2;
            ve += (v[i]![j]! - vc[i]![j]!) ** 2;
            vv += v[i]![j]! ** 2;
          });
        });
        for (let h = 0; h < H; h++) {
          if (Math.floor((h * G) / H) !== g) continue;
          rows(tensorToF32(Q), h, N, d).forEach((q, t) => {
            const seen = T - N + t + 1;
            const l = k.slice(0, seen).map((row) => dot(q, row) / Math.sqrt(d));
            const c = kc.slice(0, seen).map((row) => dot(q, row) / Math.sqrt(d));
            const e = c.map((x, i) => x - l[i]!);
            le += e.reduce((s, x) => s + (x - average(e)) ** 2, 0);
            ll += l.reduce((s, x) => s + (x - average(l)) ** 2, 0);
            const p = softmax(l);
            const r = softmax(c);
            kl += p.reduce((s, x, i) => s + x * Math.log(x / r[i]!), 0);
            const out = m.map((_, j) => p.reduce((s, x, i) => s + x * v[i]![j]!, 0));
            const coded = m.map((_, j) => r.reduce((s, x, i) => s + x * vc[i]![j]!, 0));
            cos += dot(out, coded) / Math.sqrt(dot(out, out) * dot(coded, coded));
            n++;
          });
        }
      });
    }
  }
  const bias = average(slopes);
  const spread = slopes.reduce((s, x) => s + (x - bias) ** 2, 0) / (slopes.length - 1);
  return {
    keyDistortion: ke / kk,
    valueDistortion: ve / vv,
    logitError: Math.sqrt(le / ll),
    softmaxKl: kl / n,
    outputCosine: cos / n,
    bias,
    biasSe: Math.sqrt(spread / slopes.length),
  };
}

/** Equal but for the order of sums in f64. */
export function expectEqual(got: Quality, want: Omit<Quality, "byHead">): void {
  for (const name of Object.keys(want) as (keyof typeof want)[])
    if (Number.isNaN(want[name])) expect(got[name], name).toBeNaN();
    else
      expect(Math.abs(got[name] - want[name]), name).toBeLessThanOrEqual(1e-9 + 1e-7 * Math.abs(want[name]));
}
