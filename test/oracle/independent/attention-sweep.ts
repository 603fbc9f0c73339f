/** Every slip of an attention path, alone and in pairs, handed to `verifyAttention`. */
import { verifyAttention } from "../../../src/oracle/attention.js";
import { attention, type Shape, SLIPS, type Slip, type Sums } from "./attention-paths.js";
import { Dice } from "./numbers.js";
import type { Outcome } from "./sweep.js";

export interface AttentionData {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
}

export type AttentionKind = "gauss" | "outliers" | "offset";

/** Queries, keys and values of many kinds: (queries, heads, dim), (tokens, kvHeads, dim). */
export function attentionData(
  s: Shape,
  queries: number,
  tokens: number,
  kind: AttentionKind,
  seed: number,
): AttentionData {
  const d = new Dice(seed);
  const fill = (n: number, bias: number, loud: readonly number[]): Float32Array => {
    const mean = Array.from({ length: s.dim }, () => bias * d.normal());
    return Float32Array.from({ length: n * s.dim }, (_, i) => {
      const j = i % s.dim;
      return (d.normal() + mean[j]!) * (loud.includes(j) ? 8 : 1);
    });
  };
  const loud = kind === "outliers" ? [3, 17, 40] : [];
  const bias = kind === "offset" ? 1.5 : 0;
  return {
    q: fill(queries * s.heads, 0, []),
    k: fill(tokens * s.kvHeads, bias, loud),
    v: fill(tokens * s.kvHeads, bias / 3, kind === "outliers" ? [5] : []),
  };
}

/** Rows of 64 and of 128 values are not exchanged by mistake. */
const possible = (s: Shape, slip: Slip): boolean =>
  slip.swap !== "decoded" || s.dim % 128 === 0 || s.keyFormat === s.valueFormat;

const differ = (a: Float32Array, b: Float32Array): boolean => {
  let e = 0;
  let n = 0;
  for (let i = 0; i < a.length; i++) {
    e += (a[i]! - b[i]!) ** 2;
    n += b[i]! ** 2;
  }
  return !(e <= 1e-6 * n);
};

export const attentionConforms = (s: Shape, d: AttentionData, sums: Sums): string =>
  verifyAttention({
    ...s,
    query: d.q,
    key: d.k,
    value: d.v,
    output: attention(s, d.q, d.k, d.v, [], sums),
  }).verdict;

export function attentionSweep(s: Shape, d: AttentionData, data: string, pairs: boolean): Outcome[] {
  const out: Outcome[] = [];
  const run = (slips: readonly Slip[]): Float32Array => attention(s, d.q, d.k, d.v, slips);
  const right = run([]);
  const alone = SLIPS.map((slip) => run([slip]));
  const visible = alone.map((y) => differ(y, right));
  const sets: (readonly [Slip[], Float32Array])[] = [];
  SLIPS.forEach((a, i) => {
    if (!visible[i] || !possible(s, a)) return;
    if (!pairs) {
      sets.push([[a], alone[i]!]);
      return;
    }
    SLIPS.slice(i + 1).forEach((b, k) => {
      const j = i + 1 + k;
      if (!visible[j] || !possible(s, b) || a.part === b.part || a.id === b.id) return;
      const both = run([a, b]);
      if (differ(both, alone[i]!) && differ(both, alone[j]!) && differ(both, right))
        sets.push([[a, b], both]);
    });
  });
  for (const [slips, output] of sets) {
    const ids = slips.map((x) => [x.id, ...(x.accept ?? [])]);
    const due =
      ids.length === 1 ? ids[0]! : ids[0]!.flatMap((a) => ids[1]!.map((b) => [a, b].sort().join("+")));
    const start = performance.now();
    const r = verifyAttention({ ...s, query: d.q, key: d.k, value: d.v, output });
    const got = r.verdict === "faulty" ? (r.faults[0]?.id ?? "") : r.verdict;
    out.push({
      format: `${s.keyFormat} ${s.valueFormat} d${s.dim} ${s.heads}/${s.kvHeads}${s.causal ? " causal" : ""}`,
      dim: s.dim,
      data,
      evidence: "attention",
      due: due[0]!,
      note: slips.map((x) => `${x.id} (${x.note})`).join(" & "),
      got,
      right: due.includes(got),
      detected: r.verdict === "faulty",
      milliseconds: performance.now() - start,
    });
  }
  return out;
}
