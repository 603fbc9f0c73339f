/** Traces of faulty caches, written to files as a stranger would, and what `verifyTrace` says. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { verifyTrace } from "../../../src/oracle/trace.js";
import { CACHE_SLIPS, type CacheShape, type CacheSlip, type Op, run, scenario } from "./caches.js";
import { halfBits, halfValue } from "./numbers.js";
import { stockDecoded, stockOf } from "./stock.js";
import type { Outcome } from "./sweep.js";
import { decoded, specOf } from "./turbo.js";

export interface TraceSetup extends CacheShape {
  readonly keyFormat: string;
  readonly valueFormat: string;
}

/** x: heads of one token → as the cache gives them back, original basis. */
function through(format: string, dim: number, x: Float32Array): Float32Array {
  if (format === "f32") return x;
  if (format === "f16") return x.map((v) => halfValue(halfBits(v)));
  if (format.startsWith("ggml")) return stockDecoded(stockOf(format, dim), x, []);
  const padded = decoded(specOf(format, dim), x, [], "decoder", true);
  const width = padded.length / (x.length / dim);
  return x.map((_, i) => padded[Math.floor(i / dim) * width + (i % dim)]!);
}

/** Operations whose vectors are what was appended, with what comes back of each. */
function prepared(s: TraceSetup, seed: number): { plain: Op[]; kept: Op[] } {
  const plain = scenario(s, seed, (d) => Float32Array.from({ length: s.kvHeads * s.dim }, () => d.normal()));
  const kept = plain.map((op) =>
    op.op === "append"
      ? {
          ...op,
          keys: op.keys!.map((x) => through(s.keyFormat, s.dim, x)),
          values: op.values!.map((x) => through(s.valueFormat, s.dim, x)),
        }
      : op,
  );
  return { plain, kept };
}

function write(dir: string, s: TraceSetup, plain: readonly Op[], given: readonly Op[]): string {
  mkdirSync(dir, { recursive: true });
  let files = 0;
  const save = (list: readonly Float32Array[]): string => {
    const row = s.kvHeads * s.dim;
    const all = new Float32Array(list.length * row);
    list.forEach((x, i) => {
      all.set(x, i * row);
    });
    const name = `${String(files++).padStart(3, "0")}.f32`;
    writeFileSync(join(dir, name), new Uint8Array(all.buffer));
    return name;
  };
  const ops = given.map((op, i) => {
    const source = op.op === "append" ? plain[i]! : op;
    if (op.op !== "append" && op.op !== "read") return op;
    return { ...op, keys: save(source.keys!), values: save(source.values!) };
  });
  const path = join(dir, "trace.json");
  writeFileSync(path, JSON.stringify({ ...s, ops }));
  return path;
}

const same = (a: readonly Op[], b: readonly Op[]): boolean =>
  a.every((op, i) =>
    (["keys", "values"] as const).every((side) => {
      const [x, y] = [op[side] ?? [], b[i]![side] ?? []];
      return x.length === y.length && x.every((v, t) => v.every((w, j) => w === y[t]![j]));
    }),
  );

/** Every slip on one life of a cache; pairs: two slips at once, both of which show. */
export async function traceSweep(
  dir: string,
  s: TraceSetup,
  seed: number,
  pairs: boolean,
  wanted: (ids: readonly string[], n: number) => boolean = () => true,
): Promise<{ right: string; outcomes: Outcome[] }> {
  const { plain, kept } = prepared(s, seed);
  const due = run(s, kept, []);
  const right = (await verifyTrace(write(join(dir, `${seed}-ok`), s, plain, due))).verdict;
  const usable = CACHE_SLIPS.filter(
    (c) => (s.window !== undefined || !c.windowed) && (s.layers > 1 || !c.layerShift),
  );
  const alone = usable.map((c) => run(s, kept, [c]));
  const sets: { slips: CacheSlip[]; ops: Op[] }[] = [];
  usable.forEach((a, i) => {
    if (same(alone[i]!, due)) return;
    if (!pairs) {
      sets.push({ slips: [a], ops: alone[i]! });
      return;
    }
    usable.slice(i + 1).forEach((b, k) => {
      const j = i + 1 + k;
      if (a.id === b.id || same(alone[j]!, due)) return;
      const ops = run(s, kept, [a, b]);
      if (!same(ops, alone[i]!) && !same(ops, alone[j]!) && !same(ops, due))
        sets.push({ slips: [a, b], ops });
    });
  });
  const outcomes: Outcome[] = [];
  for (const [n, { slips, ops }] of sets.entries()) {
    if (
      !wanted(
        slips.map((c) => c.id),
        n,
      )
    )
      continue;
    const path = write(join(dir, `${seed}-${n}${pairs ? "p" : ""}`), s, plain, ops);
    const start = performance.now();
    const r = await verifyTrace(path);
    const ids = slips.map((c) => [c.id, ...(c.accept ?? [])]);
    const accepted =
      ids.length === 1 ? ids[0]! : ids[0]!.flatMap((a) => ids[1]!.map((b) => [a, b].sort().join("+")));
    const got = r.verdict === "faulty" ? (r.faults[0]?.id ?? "") : r.verdict;
    outcomes.push({
      format: `${s.keyFormat} ${s.valueFormat}${s.window ? " window" : ""}`,
      dim: s.dim,
      data: String(seed),
      evidence: "trace",
      due: accepted[0]!,
      note: slips.map((c) => `${c.id} (${c.note})`).join(" & "),
      got,
      right: accepted.includes(got),
      detected: r.verdict === "faulty",
      milliseconds: performance.now() - start,
    });
  }
  return { right, outcomes };
}
