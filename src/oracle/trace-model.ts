/**
 * A cache's life as operations, and a cache that may have faults. The true model keeps a deep copy per sequence and
 * layer; the paged model has pages, counts and tables, and each fault is one thing it does wrong. Tokens are numbers:
 * where a vector was appended, so that a wrong read says whose value it is.
 */
export type Side = "keys" | "values";

export interface Operation {
  readonly op: "create" | "append" | "fork" | "truncate" | "free" | "read";
  readonly seq?: string;
  readonly from?: string;
  readonly to?: string;
  readonly layer?: number;
  readonly count?: number;
  readonly length?: number;
  readonly keys?: string;
  readonly values?: string;
}

export interface TraceShape {
  readonly layers: number;
  readonly pageSize: number;
  readonly window?: { readonly size: number; readonly sinks: number };
}

/** What a read gives: token numbers, −1 for zeros, −2 for what was never written. */
export interface ReadResult {
  readonly op: number;
  readonly keys: Int32Array;
  readonly values: Int32Array;
  /** Which side's array each side is really taken from. */
  readonly from: { readonly keys: Side | "zero" | "rotated"; readonly values: Side | "zero" | "rotated" };
}

export interface CacheFault {
  readonly id: string;
  readonly note: string;
  /** A forked sequence writes into pages that are shared. */
  readonly noCopy?: boolean;
  /** A copied page holds this many tokens less, or nothing. */
  readonly copy?: "empty" | "short";
  /** Truncate frees pages that others hold, clears the rest of a shared page, or lets the next append write into it. */
  readonly truncateShared?: "free" | "clear" | "both" | "write";
  /** Freed pages are reused oldest first, or lowest number first; default: latest first. */
  readonly reuse?: "oldest" | "lowest";
  /** What is appended to a page that had another owner is lost: all of it, or the first token. */
  readonly lostWrites?: "all" | "first";
  /** Free returns pages that others hold. */
  readonly freeShared?: boolean;
  /** Fork does not count. */
  readonly forkUncounted?: boolean;
  /** Fork and parent share one length. */
  readonly sharedLength?: boolean;
  /** Truncate forgets to shorten: later tokens land behind the old ones. */
  readonly truncateIgnored?: boolean;
  /** A copy of the table is read that is one operation old. */
  readonly stale?: "after-copy" | "after-free" | "after-truncate";
  readonly tableShift?: number;
  /** Shift of positions within the page. */
  readonly slotShift?: number;
  readonly windowShift?: number;
  readonly noSinks?: "slide" | "zero" | "gone" | "shifted";
  /** Beyond the table: the last page, or nothing; default: round about. */
  readonly tableEnd?: "last" | "nothing";
  readonly layerShift?: number;
  readonly sides?: "key-zero" | "swapped" | "values-as-keys" | "keys-as-values" | "values-rotated";
  readonly pageShiftFrom?: number;
  readonly forkTailLost?: boolean;
}

interface Sequence {
  /** Per layer: pages and length. */
  readonly pages: number[][];
  readonly length: { n: number }[];
  old: number[][] | undefined;
}

/** Replays operations; what every read gives. */
export function replay(shape: TraceShape, ops: readonly Operation[], fault: CacheFault): ReadResult[] {
  const { layers, pageSize } = shape;
  const cells: Int32Array[] = [];
  const counts: number[] = [];
  const free: number[] = [];
  const recycled = new Set<number>();
  const exposed = new Set<number>();
  const sequences = new Map<string, Sequence>();
  const reads: ReadResult[] = [];
  let token = 0;

  const take = (): number => {
    if (fault.reuse === "lowest") free.sort((a, b) => b - a);
    const reused = fault.reuse === "oldest" ? free.shift() : free.pop();
    const page = reused ?? cells.length;
    if (reused !== undefined) recycled.add(page);
    if (page === cells.length) {
      cells.push(new Int32Array(pageSize).fill(-1));
      counts.push(0);
    }
    counts[page] = 1;
    return page;
  };
  const drop = (page: number, force: boolean): void => {
    counts[page]!--;
    if (counts[page]! <= 0 || force) {
      counts[page] = 0;
      if (!free.includes(page)) free.push(page);
    }
  };
  const append = (s: Sequence, layer: number, count: number): void => {
    for (let i = 0; i < count; i++) {
      const n = s.length[layer]!.n;
      const at = Math.floor(n / pageSize);
      const pages = s.pages[layer]!;
      while (pages.length <= at) pages.push(take());
      if (counts[pages[at]!]! > 1 && !fault.noCopy && !exposed.has(pages[at]!)) {
        const source = cells[pages[at]!]!;
        const page = take();
        cells[page]!.fill(-1);
        if (fault.copy !== "empty")
          cells[page]!.set(
            source.subarray(0, fault.copy === "short" ? Math.max(0, (n % pageSize) - 1) : pageSize),
          );
        if (fault.stale === "after-copy" && !s.old) s.old = s.pages.map((p) => p.slice());
        counts[pages[at]!]!--;
        pages[at] = page;
      }
      const lost =
        fault.lostWrites && recycled.has(pages[at]!) && (fault.lostWrites === "all" || n % pageSize === 0);
      if (!lost) cells[pages[at]!]![n % pageSize] = token;
      token++;
      s.length[layer]!.n = n + 1;
    }
  };
  for (const [index, op] of ops.entries()) {
    const s = sequences.get(op.seq ?? "");
    switch (op.op) {
      case "create":
        sequences.set(op.seq!, {
          pages: Array.from({ length: layers }, () => []),
          length: Array.from({ length: layers }, () => ({ n: 0 })),
          old: undefined,
        });
        break;
      case "append":
        if (s) append(s, op.layer!, op.count!);
        break;
      case "fork": {
        const from = sequences.get(op.from!);
        if (!from) break;
        const pages = from.pages.map((p) => p.slice());
        if (fault.forkTailLost)
          for (const [l, p] of pages.entries()) if (from.length[l]!.n % pageSize !== 0) p.pop();
        if (!fault.forkUncounted) for (const p of pages.flat()) counts[p]!++;
        sequences.set(op.to!, {
          pages,
          length: fault.sharedLength ? from.length : from.length.map(({ n }) => ({ n })),
          old: undefined,
        });
        break;
      }
      case "truncate":
        if (!s) break;
        for (let l = 0; l < layers; l++) {
          if (s.length[l]!.n <= op.length!) continue;
          if (fault.truncateIgnored) continue;
          s.length[l]!.n = op.length!;
          const keep = Math.ceil(op.length! / pageSize);
          if (fault.stale === "after-truncate") s.old = s.pages.map((p) => p.slice());
          const { truncateShared } = fault;
          const force = truncateShared === "free" || truncateShared === "both";
          for (const page of s.pages[l]!.splice(keep)) drop(page, force);
          if (keep > 0 && op.length! % pageSize !== 0) {
            const page = s.pages[l]![keep - 1]!;
            if (truncateShared === "clear" || truncateShared === "both")
              cells[page]!.fill(-1, op.length! % pageSize);
            if (truncateShared === "write") exposed.add(page);
          }
        }
        break;
      case "free":
        if (!s) break;
        for (const page of s.pages.flat()) drop(page, fault.freeShared ?? false);
        sequences.delete(op.seq!);
        break;
      case "read":
        reads.push(read(index, op, s));
    }
  }
  return reads;

  function read(index: number, op: Operation, s: Sequence | undefined): ReadResult {
    const length = op.length!;
    const layer = op.layer!;
    const gather = (): Int32Array => {
      const positions: number[] = [];
      const { window } = shape;
      const real = s?.length[layer]?.n ?? length;
      const total = window ? (fault.sharedLength ? Math.max(real, length) : real) : length;
      if (window && total > window.size + window.sinks) {
        const start = total - window.size + (fault.windowShift ?? 0);
        for (let i = 0; i < window.sinks; i++)
          positions.push(
            fault.noSinks === "slide"
              ? start - window.sinks + i
              : fault.noSinks === "zero"
                ? -1
                : fault.noSinks === "shifted"
                  ? i + 1
                  : i,
          );
        for (let i = 0; i < window.size; i++) positions.push(start + i);
      } else for (let i = 0; i < (window ? total : length); i++) positions.push(i);
      if (fault.noSinks === "gone" && window && positions.length > window.size)
        positions.splice(0, window.sinks);
      const from = (layer + (fault.layerShift ?? 0) + layers) % layers;
      const pages = (s?.old ?? s?.pages)?.[from] ?? [];
      return Int32Array.from(positions, (p) => {
        const slot = p + (fault.slotShift ?? 0);
        if (p < 0) return -1;
        if (slot < 0) return -2;
        let index = Math.floor(slot / pageSize);
        if (index >= (fault.pageShiftFrom ?? 0)) index += fault.tableShift ?? 0;
        if (fault.tableShift && (index < 0 || index >= pages.length))
          index = ((index % Math.max(1, pages.length)) + pages.length) % Math.max(1, pages.length);
        const page = pages[index];
        return page === undefined ? -1 : cells[page]![slot % pageSize]!;
      });
    };
    const tokens = gather();
    const kinds = {
      "key-zero": { keys: "zero", values: "values" },
      swapped: { keys: "values", values: "keys" },
      "values-as-keys": { keys: "values", values: "values" },
      "keys-as-values": { keys: "keys", values: "keys" },
      "values-rotated": { keys: "keys", values: "rotated" },
    } as const;
    return {
      op: index,
      keys: tokens,
      values: tokens,
      from: fault.sides ? kinds[fault.sides] : { keys: "keys", values: "values" },
    };
  }
}

/** Every way in which a cache has been seen to go wrong, for a cache of this shape. */
export function cacheFaults({ window, pageSize }: TraceShape): CacheFault[] {
  const out: CacheFault[] = [
    { id: "cow-missing", note: "a sequence writes into a page that another one shares", noCopy: true },
    { id: "cow-missing", note: "the copy of a shared page is empty", copy: "empty" },
    { id: "fork-shared-length", note: "a fork and its parent share one length", sharedLength: true },
    { id: "stale-page", note: "the table from before a copy is still read", stale: "after-copy" },
    { id: "stale-page", note: "truncate does not shorten: old tokens stay", truncateIgnored: true },
    { id: "stale-page", note: "the table from before a truncate is still read", stale: "after-truncate" },
    { id: "page-table-off-by-one", note: "slots shifted by one", slotShift: 1 },
    { id: "page-table-off-by-one", note: "slots shifted back by one", slotShift: -1 },
    { id: "layer-off-by-one", note: "the next layer is read", layerShift: 1 },
    { id: "layer-off-by-one", note: "the layer before is read", layerShift: -1 },
    { id: "k-zero", note: "keys read as zeros", sides: "key-zero" },
    { id: "kv-swapped", note: "keys and values exchanged", sides: "swapped" },
    { id: "kv-swapped", note: "values read as keys", sides: "values-as-keys" },
    { id: "kv-swapped", note: "keys read as values", sides: "keys-as-values" },
    { id: "v-not-unrotated", note: "values are still rotated", sides: "values-rotated" },
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
  for (const tableShift of [1, -1])
    for (const tableEnd of [undefined, "last", "nothing"] as const)
      for (const pageShiftFrom of [0, 1])
        out.push({
          id: "page-table-off-by-one",
          note: `page ${tableShift > 0 ? "after" : "before"} the right one is read`,
          tableShift,
          pageShiftFrom,
          ...(tableEnd ? { tableEnd } : {}),
        });
  if (!window) return out;
  for (const windowShift of new Set([-1, 1, -2, 2, window.sinks, -window.sinks, pageSize, -pageSize]))
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
