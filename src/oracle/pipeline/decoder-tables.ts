/** Which table does a decoder have, that made these levels of these codes? */
import type { Reading } from "./readings.js";
import { evenly } from "./table-fit.js";
import { candidateTables, misfit } from "./tables.js";
import type { Wire } from "./wire.js";

/** How far a level may be off, in the table's largest; levels of halves are known less well. */
const OFF = 4e-3;

export interface DecoderTable {
  /** Absent: what the encoder has, or the format. */
  readonly id?: string;
  readonly note: string;
  /** Levels in the table's own size, all codes. */
  readonly centroids: Float64Array;
  /** Its size is an estimate. */
  readonly estimate?: true;
  /** It has the levels of other codes. */
  readonly relabels?: true;
}

const seen = (levels: Float64Array): number[] =>
  Array.from(levels.keys()).filter((k) => !Number.isNaN(levels[k]!));

/** Each level is one of the table's, after the best common factor: which. */
function mapTo(table: Float64Array, levels: Float64Array): { map: Int16Array; unit: number } | undefined {
  const codes = seen(levels);
  const top = codes.reduce((a, b) => (Math.abs(levels[b]!) > Math.abs(levels[a]!) ? b : a), codes[0]!);
  const most = table.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  let best: { map: Int16Array; unit: number; moved: number } | undefined;
  for (const c of table) {
    const unit = c / levels[top]!;
    if (!(unit > 0) || !Number.isFinite(unit)) continue;
    const map = new Int16Array(levels.length).fill(-1);
    let moved = 0;
    const good = codes.every((k) => {
      const v = unit * levels[k]!;
      let j = 0;
      for (let i = 1; i < table.length; i++) if (Math.abs(table[i]! - v) < Math.abs(table[j]! - v)) j = i;
      map[k] = j;
      if (j !== k) moved++;
      return Math.abs(table[j]! - v) < OFF * most;
    });
    if (good && (!best || moved < best.moved)) best = { map, unit, moved };
  }
  return best;
}

/** What a relabelled table is called; undefined where it is no fault of a table. */
function relabelled(
  map: Int16Array,
  bits: number,
  reads: readonly Reading[],
  group: number,
): { id: string; note: string } | undefined {
  const codes = Array.from(map.keys()).filter((k) => map[k]! >= 0);
  const top = 2 ** bits - 1;
  const distinct = new Set(codes.map((k) => map[k])).size;
  if (distinct < 2) return undefined;
  if (codes.every((k) => map[k] === top - k)) return undefined;
  for (let b = 1; b < bits; b++) {
    const most = 2 ** b - 1;
    if (codes.every((k) => map[k] === (k & most)) || codes.every((k) => map[k] === Math.min(k, most)))
      return { id: "codebook-truncated", note: `codes as if there were ${most + 1}` };
  }
  if (distinct < 0.6 * codes.length) return undefined;
  const packing = reads.find((r) => {
    if (!r.relabels) return false;
    const read = r.map(Uint8Array.from({ length: group }, (_, i) => i % map.length));
    return codes.every((k) => read[k] === map[k]);
  });
  if (packing) return { id: packing.id, note: packing.note };
  return { id: "codebook-order", note: `levels in the order ${codes.map((k) => map[k]).join(" ")}` };
}

/** encoder: the table behind the codes, the format's own or another. Likelier ones first. */
export function decoderTables(
  wire: Wire,
  reads: readonly Reading[],
  encoder: Float64Array,
  levels: Float64Array,
): DecoderTable[] {
  const out: DecoderTable[] = [];
  const values = seen(levels).map((k) => levels[k]!);
  if (values.length < 2 || Math.max(...values) - Math.min(...values) < OFF * Math.abs(values[0]!)) return out;
  // Levels that go down as codes go up are complemented codes: another front has them.
  if (seen(levels).reduce((sum, k) => sum + levels[k]! * encoder[k]!, 0) < 0) return out;
  const add = (centroids: Float64Array, more: Omit<DecoderTable, "centroids">): void => {
    out.push({ centroids, ...more });
  };
  for (const table of new Set([encoder, wire.centroids])) {
    if (misfit(table, levels) < OFF) {
      add(table, { note: "" });
      continue;
    }
    const found = mapTo(table, levels);
    if (found?.map.every((j, k) => j < 0 || j === k)) {
      add(table, { note: "" });
      continue;
    }
    const name = found && relabelled(found.map, wire.bits, reads, wire.group);
    if (found && name)
      add(
        table.map((v, k) => (found.map[k]! >= 0 ? table[found.map[k]!]! : v)),
        { ...name, relabels: true },
      );
  }
  if (out.length > 0) return out;
  const top = Math.max(...seen(levels).map((k) => Math.abs(levels[k]!)));
  const own = Math.max(...wire.centroids.map(Math.abs));
  const sized = levels.map((v) => (Number.isNaN(v) ? 0 : (v * own) / top));
  const say = (id: string, note: string): void => {
    out.push({ id, note, centroids: sized, estimate: true });
  };
  if (evenly(levels) && wire.bits > 1) say("codebook-uniform", "the decoder's levels at equal distances");
  if (out.length > 0) return out;
  const n = levels.length;
  const odd = seen(levels).some((k) => Math.abs(levels[k]! + levels[n - 1 - k]!) > OFF * top);
  const falls = seen(levels).some((k, i, a) => i > 0 && levels[k]! < levels[a[i - 1]!]! - OFF * top);
  if (odd || falls) {
    say("codebook-order", "the decoder's levels are not sorted or not symmetric");
    return out;
  }
  for (const t of candidateTables(wire)
    .filter((t) => misfit(t.centroids, levels) < OFF)
    .slice(0, 2))
    add(t.centroids, { id: t.id, note: `the decoder has ${t.note}` });
  if (out.length === 0) say("codebook-mismatch", "the decoder's levels are nobody's");
  return out;
}
