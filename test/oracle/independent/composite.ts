/** turbo2.5 and turbo3.5, plainly: two formats on channels of their own, every change made in both or in one. */
import { verify } from "../../../src/oracle/verify.js";
import { changesOf } from "./changes.js";
import { packers } from "./packers.js";
import type { Outcome } from "./sweep.js";
import { type Change, decoded, ownSpec, packed, type Spec } from "./turbo.js";

interface Piece {
  readonly spec: Spec;
  readonly from: number;
}

function pieces(format: string, dim: number): Piece[] {
  const [share, first, second] = format === "turbo2.5" ? [4, 3, 2] : [2, 4, 3];
  const count = dim / share!;
  return [
    { spec: ownSpec(`turbo${first}`, first!, count, "outlier"), from: 0 },
    { spec: ownSpec(`turbo${second}`, second!, dim - count), from: count },
  ];
}

const part = (x: Float32Array, dim: number, p: Piece): Float32Array =>
  x.filter((_, i) => i % dim >= p.from && i % dim < p.from + p.spec.dim);

/** rows: one array for each piece → pieces side by side. */
function joined<T extends Uint8Array | Float32Array>(
  rows: readonly T[],
  n: number,
  make: (size: number) => T,
): T {
  const sizes = rows.map((r) => r.length / n);
  const stride = sizes.reduce((a, b) => a + b, 0);
  const out = make(n * stride);
  let at = 0;
  rows.forEach((r, k) => {
    for (let v = 0; v < n; v++) out.set(r.subarray(v * sizes[k]!, (v + 1) * sizes[k]!), v * stride + at);
    at += sizes[k]!;
  });
  return out;
}

/** Changes by name: each piece has its own list of them. */
interface Named {
  readonly id: string;
  readonly accept: readonly string[];
  readonly note: string;
  readonly stage: string;
  readonly needs: string | undefined;
  readonly of: (Change | undefined)[];
}

const CUTS = [
  "pack-legacy-layout",
  "pack-tail-dropped",
  "overrun",
  "stride-head",
  "pack-zero",
  "decode-zero",
];

function changes(all: readonly Piece[]): Named[] {
  const lists = all.map(({ spec }) =>
    changesOf(
      spec,
      Object.entries(packers(spec))
        .filter(([name]) => name !== "true")
        .map(([name, p]) => [name, p.id] as const),
    ),
  );
  const key = (c: Change): string => `${c.id} (${c.note})`;
  const names = [...new Set(lists.flat().map(key))];
  return names.flatMap((name) => {
    const of = lists.map((list) => list.find((c) => key(c) === name));
    const any = of.find((c) => c)!;
    if (CUTS.includes(any.id)) return [];
    return {
      id: any.id,
      accept: [any.id, ...(any.accept ?? [])],
      note: name,
      stage: any.stage,
      needs: any.needs,
      of,
    };
  });
}

export function compositeSweep(
  format: string,
  dim: number,
  data: string,
  x: Float32Array,
  { pairs = false, every = 1, first = 0 }: { pairs?: boolean; every?: number; first?: number } = {},
): { conforming: string[]; outcomes: Outcome[] } {
  const all = pieces(format, dim);
  const n = x.length / dim;
  const inputs = all.map((p) => part(x, dim, p));
  const own = (sets: readonly Named[], k: number): Change[] =>
    sets.flatMap((c) => {
      const of = c.of[k];
      return of ? [of] : [];
    });
  const bytes = (sets: readonly Named[]): Uint8Array =>
    joined(
      all.map((p, k) => packed(p.spec, inputs[k]!, own(sets, k))),
      n,
      (size) => new Uint8Array(size),
    );
  const values = (sets: readonly Named[]): Float32Array =>
    joined(
      all.map((p, k) => decoded(p.spec, inputs[k]!, own(sets, k), "decoder")),
      n,
      (size) => new Float32Array(size),
    );
  const named = changes(all);
  let sets: Named[][] = named.map((c) => [c]);
  if (pairs) {
    sets = [];
    for (const [i, a] of named.entries())
      for (const b of named.slice(i + 1))
        if (a.stage !== b.stage && a.id !== b.id && !(a.needs && b.needs && a.needs !== b.needs))
          sets.push([a, b]);
  }
  sets = sets.filter((_, i) => i % every === first);
  const same = (a: ArrayLike<number>, b: ArrayLike<number>): boolean =>
    Array.from(a).every((v, i) => Object.is(v, b[i]));
  const outcomes: Outcome[] = [];
  for (const set of sets)
    for (const evidence of ["packed", "decoded"] as const) {
      if (set.some((c) => c.needs && c.needs !== evidence)) continue;
      const make = evidence === "packed" ? bytes : values;
      const wrong = make(set);
      if (same(wrong, make([]))) continue;
      if (set.length > 1 && set.some((c) => same(wrong, make([c])))) continue;
      const start = performance.now();
      const r = verify({ format, dim, input: x, [evidence]: wrong });
      const got = r.verdict === "faulty" ? (r.faults[0]?.id ?? "") : r.verdict;
      const due =
        set.length === 1
          ? set[0]!.accept
          : set[0]!.accept.flatMap((a) => set[1]!.accept.map((b) => [...new Set([a, b])].sort().join("+")));
      outcomes.push({
        format,
        dim,
        data,
        evidence,
        due: due[0]!,
        note: set.map((c) => c.note).join(" & "),
        got,
        right: due.includes(got),
        detected: r.verdict === "faulty",
        milliseconds: performance.now() - start,
        faults: r.faults,
      });
    }
  return {
    conforming: [
      verify({ format, dim, input: x, packed: bytes([]) }).verdict,
      verify({ format, dim, input: x, decoded: values([]) }).verdict,
    ],
    outcomes,
  };
}
