/** Every way in which a cache has been seen to go wrong, as the model of a cache replays it; the likeliest first. */
import type { Habits, LifeFault, TraceShape } from "./model.js";
import type { ReadFault } from "./reading.js";

/** Faults of writing, forking, truncating and freeing. */
export const LIFE_FAULTS: readonly LifeFault[] = [
  { id: "cow-missing", note: "a sequence writes into a page that another one shares", noCopy: "all" },
  { id: "cow-missing", note: "a fork writes into a page that another one shares", noCopy: "forks" },
  { id: "cow-missing", note: "a parent writes into a page that a fork shares", noCopy: "parents" },
  { id: "cow-missing", note: "the copy of a shared page is empty", copy: "empty" },
  { id: "fork-shared-length", note: "a fork and its parent share one length", sharedLength: true },
  {
    id: "fork-shared-length",
    note: "a fork and its parent share one length, and reads are that long",
    sharedLength: true,
    ownLength: true,
  },
  {
    id: "fork-shared-length",
    note: "a fork and its parent share one length; beyond its table each reads the last page",
    sharedLength: true,
    ownLength: true,
    pastTable: "last",
  },
  { id: "stale-page", note: "the table from before a copy is still read", stale: "after-copy" },
  {
    id: "stale-page",
    note: "a layer's table from before its copy is still read",
    stale: "after-copy-of-layer",
  },
  { id: "stale-page", note: "the page from before its copy is still read", stale: "entry" },
  { id: "stale-page", note: "truncate does not shorten: old tokens stay", truncateIgnored: true },
  {
    id: "stale-page",
    note: "truncate does not shorten, and reads are as long",
    truncateIgnored: true,
    ownLength: true,
  },
  { id: "stale-page", note: "the table from before a truncate is still read", stale: "after-truncate" },
  { id: "stale-page", note: "what was read before is read again", stale: "read" },
  { id: "stale-page", note: "a full page is read as it was when it was read first", stale: "page" },
  { id: "stale-page", note: "a slot is read as it was when it was read first", stale: "slot" },
  {
    id: "stale-page",
    note: "what is written where a token lay before is lost",
    lostWrites: "occupied",
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
  {
    id: "truncate-shared",
    note: "truncate shortens the pages that others hold",
    truncateShared: "hide",
  },
  {
    id: "truncate-shared",
    note: "truncate shortens those that share the first page",
    truncateShared: "shorten",
  },
  {
    id: "truncate-shared",
    note: "truncate shortens those that share the first page, and reads are as long",
    truncateShared: "shorten",
    ownLength: true,
  },
  {
    id: "refcount-leak",
    note: "fork does not count the pages it shares: freed while held",
    forkUncounted: "all",
  },
  {
    id: "refcount-leak",
    note: "fork does not count the pages it shares: freed while held, and twice",
    forkUncounted: "all",
    returnedTwice: "uncounted",
  },
  { id: "refcount-leak", note: "free returns pages that others hold", freeShared: "free" },
  {
    id: "refcount-leak",
    note: "pages that others hold are returned, and returned again",
    freeShared: "always",
    returnedTwice: "counted",
  },
  {
    id: "refcount-leak",
    note: "free returns pages that others hold, and they are returned again",
    freeShared: "free",
    returnedTwice: "uncounted",
  },
  { id: "truncate-shared", note: "truncate returns pages that others hold", truncateShared: "free" },
  {
    id: "truncate-shared",
    note: "truncate returns pages that others hold, and they are returned again",
    truncateShared: "free",
    returnedTwice: "uncounted",
  },
  {
    id: "truncate-shared",
    note: "truncate clears and returns pages that others hold",
    truncateShared: "both",
  },
  {
    id: "stale-page",
    note: "what is written to a page that had another owner is lost",
    lostWrites: "all",
  },
  {
    id: "stale-page",
    note: "the first token of a page that had another owner is lost",
    lostWrites: "first",
  },
  { id: "refcount-leak", note: "fork does not count the last page", forkUncounted: "last" },
  { id: "refcount-leak", note: "a copy returns the page that others hold", copyFrees: true },
  { id: "page-table-off-by-one", note: "a fork's table lacks the last page", forkTailLost: "last" },
  {
    id: "page-table-off-by-one",
    note: "a fork's table lacks the page that is partly filled",
    forkTailLost: "partial",
  },
];

/** A fork that is its parent: tried last, for a fork without counts comes out the same in short lives. */
export const ALIAS_FAULTS: readonly LifeFault[] = [
  {
    id: "fork-shared-length",
    note: "a fork and its parent are one: one table, one length",
    sharedTable: true,
    sharedLength: true,
  },
  {
    id: "fork-shared-length",
    note: "a fork and its parent are one, and reads are as long",
    sharedTable: true,
    sharedLength: true,
    ownLength: true,
  },
  {
    id: "fork-shared-length",
    note: "a fork and its parent are one, freed twice",
    sharedTable: true,
    sharedLength: true,
    returnedTwice: "uncounted",
  },
  { id: "cow-missing", note: "a fork and its parent share one table", sharedTable: true },
];

/** How caches are built, the commonest first; what pages have no new owners for makes no difference. */
export const HABITS: readonly Habits[] = (["layer", "shared", "pool"] as const).flatMap((tables) =>
  (["latest", "oldest", "lowest", "never"] as const).flatMap((reuse) =>
    (["never", "taken", "freed"] as const).flatMap((clears) =>
      (["never", "truncating", "always"] as const).flatMap((backwards) =>
        (["page", "filled"] as const)
          .filter((copies) => copies === "page" || tables !== "shared")
          .filter(() => backwards === "never" || reuse === "latest" || reuse === "oldest")
          .filter(() => clears !== "taken" || reuse !== "never")
          .map((copies) => ({ tables, reuse, backwards, clears, copies })),
      ),
    ),
  ),
);

/** How pages come to new owners matters to these. */
export const frees = (f: LifeFault): boolean =>
  f.freeShared !== undefined ||
  f.forkUncounted !== undefined ||
  f.copyFrees === true ||
  f.lostWrites !== undefined ||
  f.sharedLength === true ||
  f.sharedTable === true ||
  f.stale !== undefined ||
  f.truncateShared === "free" ||
  f.truncateShared === "both";

/** In what matters to the others. */
export const PLAIN_HABITS: readonly Habits[] = HABITS.filter(
  (h) => h.tables !== "pool" && h.reuse === "latest" && h.clears !== "freed" && h.backwards === "never",
);

/** Faults of reads, of those that a cache of this shape can have. */
export function readFaults({ window, pageSize, layers }: TraceShape): ReadFault[] {
  const out: ReadFault[] = [
    { id: "k-zero", note: "keys read as zeros", sides: ["key-zero"] },
    { id: "kv-swapped", note: "keys and values exchanged", sides: ["swapped"] },
    { id: "kv-swapped", note: "values read as keys", sides: ["values-as-keys"] },
    { id: "kv-swapped", note: "keys read as values", sides: ["keys-as-values"] },
    { id: "v-not-unrotated", note: "values are still rotated", sides: ["values-rotated"] },
    {
      id: "v-not-unrotated",
      note: "values are turned, by a rotation of the fork's own",
      sides: ["values-turned"],
    },
    { id: "page-table-off-by-one", note: "slots shifted by one", slotShift: 1 },
    { id: "page-table-off-by-one", note: "slots shifted back by one", slotShift: -1 },
    { id: "page-table-off-by-one", note: "the last slot is read from the next page", edgeShift: 1 },
    {
      id: "page-table-off-by-one",
      note: "the last slot is read from the next page, if there is one",
      edgeShift: 1,
      tableEnd: "nearest",
    },
    { id: "page-table-off-by-one", note: "the first slot is read from the page before", edgeShift: -1 },
  ];
  const both = [undefined, "keys", "values"] as const;
  const ends = [undefined, "nearest", "nothing"] as const;
  for (const layerShift of layers > 1 ? [1, -1] : [])
    for (const layerEnd of ends)
      for (const only of both)
        out.push({
          id: "layer-off-by-one",
          note: `${only ?? "both sides"} of the layer ${layerShift > 0 ? "after" : "before"} are read`,
          layerShift,
          ...(layerEnd ? { layerEnd } : {}),
          ...(only ? { only } : {}),
        });
  for (const only of both)
    for (const tableShift of [1, -1])
      for (const tableEnd of ends)
        for (const pageShiftFrom of [0, 1])
          out.push({
            id: "page-table-off-by-one",
            note: `page ${tableShift > 0 ? "after" : "before"} the right one is read`,
            tableShift,
            pageShiftFrom,
            ...(tableEnd ? { tableEnd } : {}),
            ...(only ? { only } : {}),
          });
  if (!window) return out;
  const shifts = [1, 2, 3, 4, window.sinks, pageSize].flatMap((n) => [-n, n]);
  for (const windowShift of new Set(shifts.filter((n) => n !== 0)))
    out.push({
      id: "window-offset",
      note: `the window begins ${windowShift} tokens from where it should`,
      windowShift,
    });
  for (const windowShift of [-1, 1])
    out.push({
      id: "window-offset",
      note: `the window is ${windowShift > 0 ? "shorter" : "longer"} by a token`,
      windowShift,
      windowEnd: "kept",
    });
  for (const windowPage of ["next", "before"] as const)
    for (const windowEnd of [undefined, "kept"] as const)
      out.push({
        id: "window-offset",
        note: `the window begins with a whole page, the ${windowPage} one`,
        windowPage,
        ...(windowEnd ? { windowEnd } : {}),
      });
  for (const noSinks of ["slide", "zero", "gone", "shifted", "first", "last"] as const)
    if (window.sinks > 0) out.push({ id: "sink-dropped", note: `sinks: ${noSinks}`, noSinks });
  return out;
}
