/** Every way in which a cache has been seen to go wrong, as the model of a cache replays it. */
import type { CacheFault, TraceShape } from "./trace-model.js";

/** Those that a cache of this shape can have. */
export function cacheFaults({ window, pageSize }: TraceShape): CacheFault[] {
  const out: CacheFault[] = [
    { id: "cow-missing", note: "a sequence writes into a page that another one shares", noCopy: true },
    { id: "cow-missing", note: "the copy of a shared page is empty", copy: "empty" },
    { id: "fork-shared-length", note: "a fork and its parent share one length", sharedLength: "asked" },
    {
      id: "fork-shared-length",
      note: "a fork and its parent share one length, and reads are that long",
      sharedLength: "own",
    },
    { id: "stale-page", note: "the table from before a copy is still read", stale: "after-copy" },
    {
      id: "stale-page",
      note: "a layer's table from before its copy is still read",
      stale: "after-copy-of-layer",
    },
    { id: "stale-page", note: "truncate does not shorten: old tokens stay", truncateIgnored: true },
    { id: "stale-page", note: "the table from before a truncate is still read", stale: "after-truncate" },
    { id: "page-table-off-by-one", note: "slots shifted by one", slotShift: 1 },
    { id: "page-table-off-by-one", note: "slots shifted back by one", slotShift: -1 },
    { id: "k-zero", note: "keys read as zeros", sides: "key-zero" },
    { id: "kv-swapped", note: "keys and values exchanged", sides: "swapped" },
    { id: "kv-swapped", note: "values read as keys", sides: "values-as-keys" },
    { id: "kv-swapped", note: "keys read as values", sides: "keys-as-values" },
    { id: "v-not-unrotated", note: "values are still rotated", sides: "values-rotated" },
    {
      id: "v-not-unrotated",
      note: "values are turned, by a rotation of the fork's own",
      sides: "values-turned",
    },
    {
      id: "truncate-shared",
      note: "truncate clears the rest of a page that others hold",
      truncateShared: "clear",
    },
    {
      id: "truncate-shared",
      note: "after a truncate a shared page is written in place",
      truncateShared: "write",
    },
  ];
  for (const reuse of [undefined, "oldest", "lowest"] as const) {
    const policy = reuse ? { reuse } : {};
    out.push(
      {
        id: "refcount-leak",
        note: "fork does not count the pages it shares: freed while held",
        forkUncounted: true,
        ...policy,
      },
      { id: "refcount-leak", note: "free returns pages that others hold", freeShared: true, ...policy },
      {
        id: "truncate-shared",
        note: "truncate returns pages that others hold",
        truncateShared: "free",
        ...policy,
      },
      {
        id: "truncate-shared",
        note: "truncate clears and returns pages that others hold",
        truncateShared: "both",
        ...policy,
      },
      {
        id: "stale-page",
        note: "what is written to a page that had another owner is lost",
        lostWrites: "all",
        ...policy,
      },
      {
        id: "stale-page",
        note: "the first token of a page that had another owner is lost",
        lostWrites: "first",
        ...policy,
      },
    );
  }
  for (const layerShift of [1, -1])
    for (const layerEnd of [undefined, "nearest", "nothing"] as const)
      for (const only of [undefined, "keys", "values"] as const)
        out.push({
          id: "layer-off-by-one",
          note: `${only ?? "both sides"} of the layer ${layerShift > 0 ? "after" : "before"} are read`,
          layerShift,
          ...(layerEnd ? { layerEnd } : {}),
          ...(only ? { only } : {}),
        });
  for (const tableShift of [1, -1])
    for (const tableEnd of [undefined, "nearest", "nothing"] as const)
      for (const pageShiftFrom of [0, 1])
        out.push({
          id: "page-table-off-by-one",
          note: `page ${tableShift > 0 ? "after" : "before"} the right one is read`,
          tableShift,
          pageShiftFrom,
          ...(tableEnd ? { tableEnd } : {}),
        });
  if (!window) return out;
  for (const windowShift of new Set([
    -1,
    1,
    -2,
    2,
    -3,
    3,
    -4,
    4,
    window.sinks,
    -window.sinks,
    pageSize,
    -pageSize,
  ]))
    if (windowShift !== 0)
      out.push({
        id: "window-offset",
        note: `the window begins ${windowShift} tokens from where it should`,
        windowShift,
      });
  for (const noSinks of ["slide", "zero", "gone", "shifted"] as const)
    out.push({ id: "sink-dropped", note: `sinks: ${noSinks}`, noSinks });
  return out;
}
