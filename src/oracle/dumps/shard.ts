/** What one machine knows of its share of a dump, and the verdict when all shares are there. */
import { FormatError } from "../../core/format-error.js";
import { together, type Verdict } from "../verdict.js";
import { verify } from "../verify.js";
import type { DumpFormat } from "./definition.js";
import { EMPTY, mergeTallies, type Tally, WINDOW } from "./tally.js";
import type { Tallies } from "./verify-range.js";

/** Windows [from, to) of a dump. */
export type WindowRange = readonly [from: number, to: number];

/** The tallies of the windows that one machine judged; `mergeShards` puts them together. */
export interface DumpShard extends DumpFormat, Tallies {
  /** Of the whole dump. */
  readonly vectors: number;
  /** Which windows this covers: ascending, disjoint, none touching the next. */
  readonly ranges: readonly WindowRange[];
}

const windowsOf = (vectors: number): number => Math.ceil(vectors / WINDOW);

/** The windows of share i of n, i = 1 … n: contiguous, all shares together the whole. */
export function shareOf(vectors: number, i: number, n: number): WindowRange {
  const all = windowsOf(vectors);
  return [Math.floor(((i - 1) * all) / n), Math.floor((i * all) / n)];
}

/** In any order and grouping. @throws FormatError for shares of different dumps, or that overlap. */
export function mergeShards(shards: readonly DumpShard[]): DumpShard {
  const [head, ...rest] = shards;
  if (head === undefined) throw new TypeError('"shards" expected at least one, got none');
  for (const other of rest)
    for (const key of ["format", "dim", "side", "seed", "vectors"] as const)
      if (String(other[key]) !== String(head[key]))
        throw new FormatError(
          "BAD_FILE",
          `"shards" expected shares of one dump, got ${key} ${head[key]} and ${other[key]}`,
        );
  const merged = (part: "packed" | "decoded"): { [part]?: Tally } => {
    const tallies = shards.map((s) => s[part]).filter((t) => t !== undefined);
    if (tallies.length === 0) return {};
    if (tallies.length < shards.length)
      throw new FormatError("BAD_FILE", `"shards" expected ${part} in every one or in none`);
    return { [part]: tallies.reduce(mergeTallies, EMPTY) };
  };
  const { format, dim, side, seed, vectors } = head;
  const ranges = joined(shards.flatMap((s) => s.ranges));
  return { format, dim, side, seed, vectors, ranges, ...merged("packed"), ...merged("decoded") };
}

function joined(ranges: readonly WindowRange[]): WindowRange[] {
  const out: [number, number][] = [];
  for (const [from, to] of ranges.filter(([a, b]) => a < b).sort((a, b) => a[0] - b[0])) {
    const last = out.at(-1);
    if (last && from < last[1])
      throw new FormatError("BAD_FILE", `"shards" expected disjoint shares, got window ${from} twice`);
    if (last && from === last[1]) last[1] = to;
    else out.push([from, to]);
  }
  return out;
}

/** @throws FormatError when windows are missing, naming them. */
export function verdictOf(shard: DumpShard): Verdict {
  const all = windowsOf(shard.vectors);
  const missing: string[] = [];
  let at = 0;
  for (const [from, to] of [...shard.ranges, [all, all] as const]) {
    if (from > at) missing.push(`${at * WINDOW} … ${Math.min(from * WINDOW, shard.vectors) - 1}`);
    at = Math.max(at, to);
  }
  if (missing.length > 0)
    throw new FormatError(
      "BAD_FILE",
      `"shards" expected the whole dump, missing are vectors ${missing.join(", ")}`,
    );
  const verdicts = (["packed", "decoded"] as const).flatMap((part) => {
    const tally = shard[part];
    return tally ? [partVerdict(shard, part, tally)] : [];
  });
  const worst =
    verdicts.find((v) => v.verdict === "faulty") ??
    verdicts.find((v) => v.verdict === "tolerated") ??
    verdicts[0]!;
  return { ...worst, checks: together(verdicts.flatMap((v) => v.checks)) };
}

/** The kept windows are judged together as one input; counts are those of the whole dump. */
function partVerdict(shard: DumpShard, part: "packed" | "decoded", tally: Tally): Verdict {
  const { format, dim, side, seed, vectors } = shard;
  const input = new Float32Array(concat(tally.kept.map((k) => k.input)).buffer);
  const output = concat(tally.kept.map((k) => k.output));
  const sample = verify({
    format,
    dim,
    side,
    seed,
    input,
    ...(part === "packed" ? { packed: output } : { decoded: new Float32Array(output.buffer) }),
  });
  const { wrong, normUlps, boundaryFlips, kept } = tally;
  const inDump = (v: number): number => kept[Math.floor(v / WINDOW)]!.window * WINDOW + (v % WINDOW);
  const faulty = sample.verdict === "faulty";
  const checks = sample.checks.map((c) =>
    c.id === "within-tolerance"
      ? { ...c, status: wrong > 0 ? ("fail" as const) : c.status, value: normUlps + boundaryFlips }
      : c,
  );
  return {
    ...sample,
    vectors,
    verdict: faulty ? "faulty" : normUlps + boundaryFlips > 0 ? "tolerated" : "exact",
    first: sample.first && { ...sample.first, vector: inDump(sample.first.vector) },
    tolerated: { normUlps, boundaryFlips },
    checks: [
      ...checks,
      { id: "vectors-wrong", status: wrong > 0 ? "fail" : "pass", value: wrong, limit: 0 },
      { id: "vectors-diagnosed", status: "info", value: input.length / dim, limit: null },
    ],
  };
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
