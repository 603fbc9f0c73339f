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

/** What a side is read from; "turned": values under a rotation that is not known, so only their lengths tell. */
export type Source = Side | "zero" | "rotated" | "turned";

/** What a read gives: token numbers, −1 for zeros, −2 for what was never written. */
export interface ReadResult {
  readonly op: number;
  readonly keys: Int32Array;
  readonly values: Int32Array;
  /** Which side's array each side is really taken from. */
  readonly from: { readonly keys: Source; readonly values: Source };
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
  /** Fork and parent share one length; a read gives the tokens that were asked for, or as many as there seem to be. */
  readonly sharedLength?: "asked" | "own";
  /** Truncate forgets to shorten: later tokens land behind the old ones. */
  readonly truncateIgnored?: boolean;
  /** A copy of the table is read that is one operation old. */
  readonly stale?: "after-copy" | "after-copy-of-layer" | "after-truncate";
  readonly tableShift?: number;
  /** Shift of positions within the page. */
  readonly slotShift?: number;
  readonly windowShift?: number;
  readonly noSinks?: "slide" | "zero" | "gone" | "shifted";
  /** Beyond the table: the nearest page, or nothing; default: round about. */
  readonly tableEnd?: "nearest" | "nothing";
  readonly layerShift?: number;
  /** Beyond the last layer: the nearest, or nothing; default: round about. */
  readonly layerEnd?: "nearest" | "nothing";
  /** Shifts of layers and pages concern this side alone. */
  readonly only?: Side;
  readonly sides?:
    | "key-zero"
    | "swapped"
    | "values-as-keys"
    | "keys-as-values"
    | "values-rotated"
    | "values-turned";
  readonly pageShiftFrom?: number;
  readonly forkTailLost?: boolean;
}

interface Sequence {
  /** Per layer: pages and length. */
  readonly pages: number[][];
  readonly length: { n: number }[];
  /** Per layer: a table that was replaced and is still read. */
  readonly old: (number[] | undefined)[];
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
        if (fault.stale === "after-copy-of-layer") s.old[layer] ??= pages.slice();
        if (fault.stale === "after-copy" && s.old.length === 0) s.old.push(...s.pages.map((p) => p.slice()));
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
          old: [],
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
          old: [],
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
          if (fault.stale === "after-truncate") s.old.splice(0, layers, ...s.pages.map((p) => p.slice()));
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
    const positions = positionsOf(shape, fault, op, s?.length[op.layer!]?.n ?? op.length!);
    const gather = (side: Side): Int32Array => {
      const pages = tableOf(s, op.layer!, side);
      return Int32Array.from(positions, (p) => (p < 0 ? -1 : tokenAt(pages, p, side)));
    };
    const tokens = { keys: gather("keys"), values: gather("values") };
    const kinds = {
      "key-zero": { keys: "zero", values: "values" },
      swapped: { keys: "values", values: "keys" },
      "values-as-keys": { keys: "values", values: "values" },
      "keys-as-values": { keys: "keys", values: "keys" },
      "values-rotated": { keys: "keys", values: "rotated" },
      "values-turned": { keys: "keys", values: "turned" },
    } as const;
    return {
      op: index,
      ...tokens,
      from: fault.sides ? kinds[fault.sides] : { keys: "keys", values: "values" },
    };
  }

  function tableOf(s: Sequence | undefined, layer: number, side: Side): readonly number[] {
    const shift = fault.only === undefined || fault.only === side ? (fault.layerShift ?? 0) : 0;
    let from = layer + shift;
    if (from < 0 || from >= layers) {
      if (fault.layerEnd === "nothing") return [];
      from = fault.layerEnd === "nearest" ? layer : (from + layers) % layers;
    }
    return s?.old[from] ?? s?.pages[from] ?? [];
  }

  function tokenAt(pages: readonly number[], position: number, side: Side): number {
    const slot = position + (fault.slotShift ?? 0);
    if (slot < 0) return -2;
    let index = Math.floor(slot / pageSize);
    const shifted = fault.tableShift !== undefined && (fault.only === undefined || fault.only === side);
    if (shifted && index >= (fault.pageShiftFrom ?? 0)) index += fault.tableShift!;
    if (shifted && (index < 0 || index >= pages.length)) {
      const last = Math.max(0, pages.length - 1);
      if (fault.tableEnd === "nothing") return -1;
      index =
        fault.tableEnd === "nearest" ? Math.max(0, Math.min(last, index)) : (index + last + 1) % (last + 1);
    }
    const page = pages[index];
    return page === undefined ? -1 : cells[page]![slot % pageSize]!;
  }
}

/** Which positions a read gives; −1: zeros. own: the length that the cache believes in. */
function positionsOf({ window }: TraceShape, fault: CacheFault, op: Operation, own: number): number[] {
  const length = op.length!;
  if (!window) {
    const count = fault.sharedLength === "own" ? own : length;
    return Array.from({ length: count }, (_, i) => i);
  }
  const total = fault.sharedLength ? Math.max(own, length) : own;
  if (total <= window.size + window.sinks) return Array.from({ length: total }, (_, i) => i);
  const start = total - window.size + (fault.windowShift ?? 0);
  const inWindow = Array.from({ length: window.size }, (_, i) => start + i);
  const sinks = Array.from({ length: window.sinks }, (_, i) => {
    if (fault.noSinks === "slide") return start - window.sinks + i;
    if (fault.noSinks === "zero") return -1;
    return fault.noSinks === "shifted" ? i + 1 : i;
  });
  return fault.noSinks === "gone" ? inWindow : [...sinks, ...inWindow];
}
