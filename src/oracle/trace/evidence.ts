/**
 * What wrong reads say by themselves, when no simulated cache reproduces all of them: for each wrong vector, whose value
 * it is; the commonest relation names the fault.
 */

import type { Fault } from "../verdict.js";
import type { Loaded } from "./loaded.js";
import { labelled, type Sight, ZERO } from "./sight.js";

/** due: per read, the tokens that it should have given. */
export function evidenceFaults(l: Loaded, sight: Sight, due: readonly Int32Array[]): Fault[] {
  const votes = new Map<string, number>();
  let counted = 0;
  const vote = (id: string): void => {
    votes.set(id, (votes.get(id) ?? 0) + 1);
  };
  const { window, pageSize } = l.trace;
  const turned = { side: "values", form: "turned" } as const;
  for (const [read, tokens] of due.entries())
    for (const side of ["keys", "values"] as const)
      for (const [t, what] of sight.given[read]![side].entries()) {
        const token = tokens[t] ?? -1;
        if (token < 0 || sight.is(read, side, t, token, { side, form: "plain" })) continue;
        counted++;
        const own = l.origins[token]!;
        const got = labelled(what);
        if (what === ZERO) {
          const other = sight.given[read]![side === "keys" ? "values" : "keys"][t];
          vote(other === ZERO ? "truncate-shared" : "k-zero");
        }
        if (got?.rotated || (!got && side === "values" && sight.is(read, side, t, token, turned)))
          vote("v-not-unrotated");
        if (!got) continue;
        const from = l.origins[got.token]!;
        const shift = from.position - own.position;
        const within = from.seq === own.seq;
        if (got.side !== side) vote("kv-swapped");
        else if (from.layer !== own.layer && shift === 0 && related(l, from.seq, l.reads[read]!.seq!))
          vote("layer-off-by-one");
        // The page has come to another owner, who wrote into it since; or it had one, whose values are still read.
        else if (from.layer !== own.layer) vote(got.token > token ? "refcount-leak" : "stale-page");
        else if (within && window && Math.abs(shift) <= 2)
          vote(t < window.sinks ? "sink-dropped" : "window-offset");
        else if (within && window && t < window.sinks) vote("sink-dropped");
        else if (within && [1, pageSize].includes(Math.abs(shift))) vote("page-table-off-by-one");
        else if (shift === 0 && related(l, from.seq, l.reads[read]!.seq!)) vote("cow-missing");
        else if (within) vote("stale-page");
        else vote(got.token > token ? "refcount-leak" : "stale-page");
      }
  return [...votes].map(([id, n]) => ({
    id,
    explains: (0.8 * n) / Math.max(1, counted),
    evidence: `${n} of ${counted} wrong vectors hold what this fault would leave there`,
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
