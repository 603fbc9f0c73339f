/**
 * An attention path as a black box: queries, keys and values in, outputs out. The formats make the cache, f64 does
 * the rest, so that only the path itself is judged: rotation of queries and outputs, scale, mask, heads, sides.
 */

import { assertInteger } from "../core/check.js";
import { FormatError } from "../core/format-error.js";
import type { AttentionOptions } from "./attention/options.js";
import { pathErrors, roundingLimit } from "./attention/output-error.js";
import { type AttentionCase, attendRow, openCase, pathOf, withQueries } from "./attention/path.js";
import { QUERY_ROUNDINGS } from "./attention/query-rounding.js";
import { type Found, sampleRows, searchPath } from "./attention/search.js";
import type { Check, FirstDifference, Verdict } from "./verdict.js";

export type { AttentionOptions };

/** Below this nothing but the order of sums in f32 differs. */
const SAME = 1e-5;
/** A fault below the limit of rounding is one where it leaves so much less than the right path does. */
const BETTER = 1 / 8;

/** @throws FormatError when sizes do not fit together. */
export function verifyAttention(o: AttentionOptions): Verdict {
  assertSizes(o);
  const { dim, heads } = o;
  const c = openCase(o);
  const all = Array.from({ length: c.rows }, (_, row) => row);
  const errors = pathErrors(c, pathOf(c, []), all);
  const error = errors.reduce((most, e) => Math.max(most, e), 0);
  const limit = roundingLimit(c.tokens);
  const { faults, note } = judge(c, errors, error, limit);
  const faulty = faults.length > 0;
  const checks: Check[] = [
    { id: "attention-error", status: faulty ? "fail" : "pass", value: error, limit },
    {
      id: "rows-conform",
      status: faulty ? "fail" : "pass",
      value: errors.filter((e) => e <= (faulty && error <= limit ? SAME : limit)).length,
      limit: c.rows,
    },
  ];
  if (note) checks.push({ id: "permitted-variant", status: "info", value: note, limit: null });
  return {
    format: `${o.keyFormat} + ${o.valueFormat}`,
    dim,
    vectors: c.queries * heads,
    verdict: faulty ? "faulty" : "conforming",
    first: faulty ? firstWrong(c, errors, Math.min(limit, error / 2)) : null,
    tolerated: { normUlps: 0, boundaryFlips: 0 },
    faults,
    checks,
  };
}

function judge(c: AttentionCase, errors: Float64Array, error: number, limit: number): Found {
  if (error <= SAME) return { faults: [] };
  const small = error <= limit;
  const from = small ? error / 2 : limit;
  const wrong = Array.from(errors.keys()).filter((row) => errors[row]! > from);
  if (small) {
    const { faults } = searchPath([{ c }], wrong, error * BETTER, 1);
    return { faults: faults.filter((f) => f.explains > 0.98) };
  }
  const variants = QUERY_ROUNDINGS.slice(1).map((r) => ({ note: r.note, c: withQueries(c, r) }));
  const sample = sampleRows(c, wrong, 64);
  for (const v of variants)
    if (pathErrors(v.c, pathOf(v.c, []), sample).every((e) => e <= limit))
      return { faults: [], note: v.note };
  const found = searchPath([{ c }, ...variants], wrong, limit, 2);
  if (found.faults.length > 0) return found;
  const evidence = `${wrong.length} of ${c.rows} output vectors differ; no fault of the catalogue reproduces them`;
  return { faults: [{ id: "unknown", explains: 0, evidence }] };
}

function firstWrong(c: AttentionCase, errors: Float64Array, limit: number): FirstDifference {
  const { dim, heads, output } = c.options;
  const row = Math.max(
    0,
    errors.findIndex((e) => e > limit),
  );
  const due = new Float64Array(dim);
  attendRow(c, pathOf(c, []), row, due);
  const size = Math.sqrt(due.reduce((sum, v) => sum + v * v, 0) / dim);
  const found = due.findIndex((v, i) => !(Math.abs(v - output[row * dim + i]!) <= limit * size));
  const coordinate = Math.max(0, found);
  return {
    vector: row,
    field: "output",
    coordinate,
    byte: null,
    expected: due[coordinate]!,
    actual: output[row * dim + coordinate]!,
    source: `query ${Math.floor(row / heads)}, head ${row % heads}`,
  };
}

function assertSizes({
  dim,
  heads,
  kvHeads,
  scale,
  causal,
  query,
  key,
  value,
  output,
}: AttentionOptions): void {
  assertInteger(heads, "heads", 1);
  assertInteger(kvHeads, "kvHeads", 1);
  if (heads % kvHeads !== 0)
    throw new RangeError(`"kvHeads" expected a divisor of ${heads} heads, got ${kvHeads}`);
  if (scale !== undefined && !Number.isFinite(scale))
    throw new RangeError(`"scale" expected a finite number, got ${scale}`);
  const count = (x: Float32Array, what: string, of: number): number => {
    const n = x.length / of;
    if (!Number.isInteger(n) || n < 1)
      throw new FormatError("BAD_LENGTH", `${what}: expected a multiple of ${of} values`);
    return n;
  };
  const queries = count(query, "query", heads * dim);
  const tokens = count(key, "key", kvHeads * dim);
  const same = (x: Float32Array, what: string, due: number, as: string): void => {
    if (x.length !== due)
      throw new FormatError(
        "BAD_LENGTH",
        `${what} has ${x.length} values: expected ${due}, as many as the ${as}`,
      );
  };
  same(value, "value", key.length, "keys");
  same(output, "output", query.length, "queries");
  if (causal && queries > tokens)
    throw new FormatError(
      "BAD_LENGTH",
      `causal attention expected at most ${tokens} queries, got ${queries}`,
    );
}
