/** Every mutant of a format on given inputs, handed to `verify` as a stranger would, and how it did. */
import { verify } from "../../../src/oracle/verify.js";
import { changesOf } from "./changes.js";
import { alsoDue } from "./indistinguishable.js";
import { packers } from "./packers.js";
import { type StockChange, stockBytes, stockChanges, stockDecoded, stockOf } from "./stock.js";
import { type Change, decoded, packed, pick, type Spec, specOf } from "./turbo.js";

export interface Outcome {
  readonly format: string;
  readonly dim: number;
  readonly data: string;
  readonly evidence: "packed" | "decoded" | "attention" | "trace";
  readonly due: string;
  readonly note: string;
  readonly got: string;
  readonly right: boolean;
  /** The verdict alone. */
  readonly detected: boolean;
  readonly milliseconds: number;
  readonly faults?: readonly { readonly id: string; readonly explains: number }[];
}

interface Job {
  readonly due: readonly string[];
  readonly note: string;
  readonly packed?: Uint8Array;
  readonly decoded?: Float32Array;
  /** Whether faults of these ids, built otherwise, make the very same artefact: then nobody can tell them apart. */
  readonly also?: (ids: readonly string[]) => boolean;
}

const same = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++)
    if (a[i] !== b[i] && !(Number.isNaN(a[i]) && Number.isNaN(b[i]))) return false;
  return true;
};

const joined = (ids: readonly string[]): string => [...new Set(ids)].sort().join("+");

/** All ids that count for these changes. */
function accepted(changes: readonly { id: string; accept?: readonly string[] }[]): string[] {
  const all = changes.map((c) => [c.id, ...(c.accept ?? [])]);
  if (all.length === 1) return all[0]!;
  return all[0]!.flatMap((a) => all[1]!.map((b) => joined([a, b])));
}

/** Values that differ in their own last place at most: halves whose sums were taken in another order. */
const sameHalves = (a: Float32Array, b: Float32Array): boolean =>
  a.length === b.length &&
  a.every(
    (v, i) => Object.is(v, b[i]) || v === b[i] || Math.abs(v - b[i]!) <= 2 ** -10 * Math.abs(v) + 2 ** -24,
  );

function* turboJobs(
  s: Spec,
  x: Float32Array,
  pairs: boolean,
  every: number,
  first: number,
  only?: string,
): Generator<Job> {
  const packs = Object.entries(packers(s))
    .filter(([name]) => name !== "true")
    .map(([name, p]) => [name, p.id] as const);
  const all = changesOf(s, packs);
  const right = packed(s, x, []);
  const rightValues = decoded(s, x, [], "decoder");
  const sets: Change[][] = pairs ? [] : all.map((c) => [c]);
  if (pairs)
    all.forEach((a, i) => {
      for (const b of all.slice(i + 1)) {
        if (a.stage === b.stage || a.id === b.id || (a.turn && b.turn)) continue;
        if ((["needs"] as const).some(() => a.needs && b.needs && a.needs !== b.needs)) continue;
        if (
          ["pack-zero", "decode-zero", "boundary-tie", "zero-vector", "overflow-silent", "overrun"].some(
            (id) => a.id === id || b.id === id,
          )
        )
          continue;
        sets.push([a, b]);
      }
    });
  const equal = s.renormalise ? sameHalves : same;
  const twin =
    (made: (c: Change[]) => Float32Array, whole: Float32Array) =>
    (ids: readonly string[]): boolean => {
      const of = (id: string): Change[] => all.filter((c) => c.id === id && c.needs !== "packed");
      const [a, b] = ids;
      if (a === undefined) return false;
      if (b === undefined) return of(a).some((c) => equal(whole, made([c])));
      return of(a).some((c) => of(b).some((e) => c.stage !== e.stage && equal(whole, made([c, e]))));
    };
  let turn = 0;
  for (const changes of sets) {
    if (turn++ % every !== first) continue;
    const needs = changes.map((c) => c.needs);
    const note = changes.map((c) => `${c.id} (${c.note})`).join(" & ");
    if (only && !note.includes(only)) continue;
    const due = accepted(changes);
    const input = pick(changes, "input");
    if (input && !input(s, x)) continue;
    const alone = (made: (c: Change[]) => ArrayLike<number>, whole: ArrayLike<number>): boolean =>
      changes.length === 1
        ? same(whole, made([]))
        : changes.some((c) => same(whole, made([c]))) || same(whole, made([]));
    if (!needs.includes("decoded")) {
      const bytes = packed(s, x, changes);
      if (changes.length === 1 ? !same(bytes, right) : !alone((c) => packed(s, x, c), bytes))
        yield { due: [...due, ...alsoDue(s, x, changes)], note, packed: bytes };
    }
    const shrinks = changes.some((c) => c.packer && packers(s)[c.packer]!.id === "pack-legacy-layout");
    if (!needs.includes("packed") && !shrinks) {
      for (const writes of changes.some((c) => c.packer)
        ? (["decoder", "encoder"] as const)
        : (["decoder"] as const)) {
        const values = decoded(s, x, changes, writes);
        if (
          changes.length === 1 ? !same(values, rightValues) : !alone((c) => decoded(s, x, c, writes), values)
        )
          yield {
            due,
            note: `${note}${changes.some((c) => c.packer) ? `, ${writes}'s` : ""}`,
            decoded: values,
            also: twin((c) => decoded(s, x, c, writes), values),
          };
      }
    }
  }
}

function* stockJobs(
  format: string,
  dim: number,
  x: Float32Array,
  pairs: boolean,
  every: number,
  first: number,
): Generator<Job> {
  const s = stockOf(format, dim);
  const all = stockChanges(s);
  const sets: StockChange[][] = pairs ? [] : all.map((c) => [c]);
  if (pairs)
    all.forEach((a, i) => {
      for (const b of all.slice(i + 1))
        if (
          a.stage !== b.stage &&
          a.id !== b.id &&
          !["pack-zero", "decode-zero"].some((id) => a.id === id || b.id === id)
        )
          sets.push([a, b]);
    });
  let turn = 0;
  for (const changes of sets) {
    if (turn++ % every !== first) continue;
    const note = changes.map((c) => `${c.id} (${c.note})`).join(" & ");
    const due = accepted(changes);
    const differs = (made: (c: StockChange[]) => ArrayLike<number>): boolean => {
      const whole = made(changes);
      return (
        !same(whole, made([])) && (changes.length === 1 || changes.every((c) => !same(whole, made([c]))))
      );
    };
    const bytesOf = (c: StockChange[]): Uint8Array => stockBytes(s, x, dim, c);
    if (!changes.some((c) => c.read) && differs(bytesOf)) yield { due, note, packed: bytesOf(changes) };
    if (
      changes.every(
        (c) =>
          !(
            c.bytes ||
            (c.pack && !["inverted", "nibbles", "interleaved"].includes(c.pack)) ||
            (c.pack && s.vllm)
          ),
      )
    ) {
      const valuesOf = (c: StockChange[]): Float32Array => stockDecoded(s, x, c);
      if (differs(valuesOf)) yield { due, note, decoded: valuesOf(changes) };
    }
  }
}

export interface SweepOptions {
  readonly format: string;
  readonly side?: "key" | "value";
  readonly dim: number;
  readonly data: string;
  readonly x: Float32Array;
  readonly pairs?: boolean;
  /** Only every so many-th. */
  readonly every?: number;
  /** Which one of each `every` (default: the first). */
  readonly first?: number;
  readonly only?: string;
  /** Only what is handed over like this. */
  readonly evidence?: "packed" | "decoded";
}

const STOCK = /^(ggml|realizar)\//;

export function sweep(o: SweepOptions): Outcome[] {
  const { format, dim, data, x } = o;
  const side = o.side ?? "key";
  const stock = STOCK.test(format) || side === "value";
  const jobs = stock
    ? stockJobs(format, dim, x, o.pairs ?? false, o.every ?? 1, o.first ?? 0)
    : turboJobs(specOf(format, dim), x, o.pairs ?? false, o.every ?? 1, o.first ?? 0, o.only);
  const out: Outcome[] = [];
  for (const job of jobs) {
    if (o.only && !job.note.includes(o.only)) continue;
    if (o.evidence && !job[o.evidence]) continue;
    const start = performance.now();
    let got = "";
    let verdict = "";
    let faults: Outcome["faults"] = [];
    try {
      const r = verify({
        format,
        dim,
        side,
        input: x,
        ...(job.packed ? { packed: job.packed } : {}),
        ...(job.decoded ? { decoded: job.decoded } : {}),
      });
      verdict = r.verdict;
      faults = r.faults;
      got = r.verdict === "faulty" ? (r.faults[0]?.id ?? "") : r.verdict;
    } catch (error) {
      got = `error: ${(error as Error).message}`;
    }
    out.push({
      format: side === "value" ? `${format} V` : format,
      dim,
      data,
      evidence: job.packed ? "packed" : "decoded",
      due: job.due[0]!,
      note: job.note,
      got,
      right: job.due.includes(got) || (verdict === "faulty" && (job.also?.(got.split("+")) ?? false)),
      detected: verdict === "faulty",
      milliseconds: performance.now() - start,
      faults,
    });
  }
  return out;
}

/** The right output of our own writing, which has to conform. */
export function conforming(format: string, side: "key" | "value", dim: number, x: Float32Array): string[] {
  const stock = STOCK.test(format) || side === "value";
  const s = stock ? stockOf(format, dim) : undefined;
  const t = stock ? undefined : specOf(format, dim);
  return [
    verify({ format, side, dim, input: x, packed: s ? stockBytes(s, x, dim, []) : packed(t!, x, []) })
      .verdict,
    verify({
      format,
      side,
      dim,
      input: x,
      decoded: s ? stockDecoded(s, x, []) : decoded(t!, x, [], "decoder"),
    }).verdict,
  ];
}

/** Right ones of all, per format and evidence, as lines. */
export function table(all: readonly Outcome[], by: (o: Outcome) => string): string {
  const rows = new Map<string, { right: number; detected: number; all: number; slowest: number }>();
  for (const o of all) {
    const key = by(o);
    const r = rows.get(key) ?? { right: 0, detected: 0, all: 0, slowest: 0 };
    r.all++;
    if (o.right) r.right++;
    if (o.detected) r.detected++;
    r.slowest = Math.max(r.slowest, o.milliseconds);
    rows.set(key, r);
  }
  return [...rows]
    .map(
      ([key, r]) =>
        `${key.padEnd(40)} ${r.right}/${r.all} named (${((100 * r.right) / r.all).toFixed(1)} %), ${r.detected} detected, slowest ${r.slowest.toFixed(0)} ms`,
    )
    .join("\n");
}
