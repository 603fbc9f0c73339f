/**
 * What wrong reads say by themselves, when no simulated cache reproduces all of them: for each wrong head, whose value
 * it is; the commonest relation names the fault.
 */
import type { Loaded, WrongHead } from "./trace-loaded.js";
import { sourceOf } from "./trace-loaded.js";
import type { ReadResult } from "./trace-model.js";
import type { Fault } from "./verdict.js";

const SOURCE = /^(keys|values) of sequence (\S+), layer (\d+), token (\d+), head (\d+)$/;

export function evidenceFaults(
  l: Loaded,
  due: readonly ReadResult[],
  wrong: readonly (readonly WrongHead[])[],
): Fault[] {
  const votes = new Map<string, number>();
  let counted = 0;
  const vote = (id: string): void => {
    votes.set(id, (votes.get(id) ?? 0) + 1);
  };
  const { dim, kvHeads, window, pageSize } = l.trace;
  for (const [i, heads] of wrong.entries()) {
    const step = Math.max(1, Math.floor(heads.length / 24));
    for (let k = 0; k < heads.length; k += step) {
      const w = heads[k]!;
      const given = l.given[i]![w.side];
      const source = sourceOf(l, given, (w.token * kvHeads + w.head) * dim, w.head);
      counted++;
      const op = l.trace.ops[due[i]!.op]!;
      const token = due[i]![w.side][w.token] ?? -2;
      const own = token >= 0 ? l.origins[token] : undefined;
      const other = l.given[i]![w.side === "keys" ? "values" : "keys"];
      const at = (w.token * kvHeads + w.head) * dim;
      const alone = other.subarray(at, at + dim).some((v) => v !== 0);
      if (source === "zeros") vote(alone ? "k-zero" : "truncate-shared");
      else if (source.endsWith("still rotated")) vote("v-not-unrotated");
      else if (w.side === "values" && token >= 0 && sameLength(l, token, w, given)) vote("v-not-unrotated");
      const [, side, seq, layer, position] = SOURCE.exec(source) ?? [];
      if (!side || !own) continue;
      const shift = Number(position) - own.position;
      if (side !== w.side) vote("kv-swapped");
      else if (Number(layer) !== own.layer) vote("layer-off-by-one");
      else if (seq === own.seq && window && Math.abs(shift) <= 2)
        vote(w.token < window.sinks ? "sink-dropped" : "window-offset");
      else if (seq === own.seq && window && w.token < window.sinks) vote("sink-dropped");
      else if (seq === own.seq && Math.abs(shift) === pageSize) vote("page-table-off-by-one");
      else if (seq === own.seq && Math.abs(shift) === 1) vote("page-table-off-by-one");
      else if (shift === 0 && related(l, seq!, op.seq!)) vote("cow-missing");
      else if (seq === own.seq) vote("stale-page");
      else vote("refcount-leak");
    }
  }
  return [...votes].map(([id, n]) => ({
    id,
    explains: (0.8 * n) / Math.max(1, counted),
    evidence: `${n} of ${counted} wrong heads looked at hold what this fault would leave there`,
  }));
}

/** One was forked from the other, or both from a third. */
function related(l: Loaded, a: string, b: string): boolean {
  const parent = new Map<string, string>();
  for (const op of l.trace.ops) if (op.op === "fork") parent.set(op.to!, op.from!);
  const root = (name: string): string => {
    let at = name;
    for (let hops = 0; parent.has(at) && hops < 1000; hops++) at = parent.get(at)!;
    return at;
  };
  return root(a) === root(b);
}

/** Nothing that was appended, but as long as what belongs there: turned. */
function sameLength(l: Loaded, token: number, w: WrongHead, given: Float32Array): boolean {
  const { dim, kvHeads } = l.trace;
  let due = 0;
  let got = 0;
  for (let i = 0; i < dim; i++) {
    due += l.store.values[token]![w.head * dim + i]! ** 2;
    got += given[(w.token * kvHeads + w.head) * dim + i]! ** 2;
  }
  return Math.abs(got / due - 1) < 0.02;
}
