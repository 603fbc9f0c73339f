/**
 * A cache's life as operations, and a paged cache that may go wrong in it: pages, counts and tables, with faults of
 * writing, forking, truncating and freeing. Tokens are numbers, in the order in which they were appended, so that a
 * wrong read says whose value it is. What a read then makes of the pages is `reading.ts`.
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

/** How a cache may be built, right or wrong: faults of counting come out in different ways. */
export interface Habits {
  /** One table for all layers, one per layer with a common pool of pages, or a pool per layer too. */
  readonly tables: "shared" | "layer" | "pool";
  /** Which page is taken: one that was freed last, first, of the lowest number, or a new one always. */
  readonly reuse: "latest" | "oldest" | "lowest" | "never";
  /** When pages are returned from the last to the first. */
  readonly backwards: "never" | "truncating" | "always";
  /** What is copied of a shared page: all of it (always, where it holds all layers), or what is filled. */
  readonly copies: "page" | "filled";
  /** When a page is cleared. */
  readonly clears: "never" | "freed" | "taken";
}

/** What goes wrong in a cache's life. */
export interface LifeFault {
  readonly id: string;
  readonly note: string;
  /** Shared pages are written in place: by everyone, by forks only, or by those only that are no forks. */
  readonly noCopy?: "all" | "forks" | "parents";
  /** A copied page holds nothing, or a token less. */
  readonly copy?: "empty" | "short";
  /** A copy frees the page that others still hold. */
  readonly copyFrees?: boolean;
  /**
   * Truncate frees pages that others hold, clears the rest of a shared page, both, lets the next append write into it,
   * hides what lies behind, or shortens others: those that begin with the same page.
   */
  readonly truncateShared?: "free" | "clear" | "both" | "write" | "hide" | "shorten";
  /** What is appended is lost: to a page that had another owner, its first token, or where something lay before. */
  readonly lostWrites?: "all" | "first" | "occupied";
  /** Free returns pages that others hold; or everything does that gives up a page. */
  readonly freeShared?: "free" | "always";
  /** A page may be returned twice, and is then taken twice; its count is lost at that, or goes on. */
  readonly returnedTwice?: "uncounted" | "counted";
  /** Fork does not count its pages, or not the last. */
  readonly forkUncounted?: "all" | "last";
  /** A fork's table lacks the last page, or the last if it is partly filled. */
  readonly forkTailLost?: "last" | "partial";
  /** Fork and parent share one length. */
  readonly sharedLength?: boolean;
  /** Beyond its table a sequence reads the last page. */
  readonly pastTable?: "last";
  /** Fork and parent share one table. */
  readonly sharedTable?: boolean;
  /** Truncate forgets to shorten: later tokens land behind the old ones. */
  readonly truncateIgnored?: boolean;
  /** Reads are as long as the cache believes, not as was asked. */
  readonly ownLength?: boolean;
  /** What is still read: the table (or the one entry) from before a copy, the table from before a truncate, what the sequence read before, what anyone read before from the page while it was full, or from the slot. */
  readonly stale?:
    | "after-copy"
    | "after-copy-of-layer"
    | "entry"
    | "after-truncate"
    | "read"
    | "page"
    | "slot";
}

/** A page as it was at a moment: slots of one layer, or of all layers one after another; −1: nothing. */
export interface Page {
  readonly slots: Int32Array;
  /** Somebody saw it as it is: the next to write takes a copy. */
  seen: boolean;
  /** What was made of a part of it last, once it was seen. */
  digest?: { readonly from: number; readonly to: number; readonly value: number };
}

/** The pages of a layer's table, where in them the layer begins, and how many tokens it has. */
export interface LayerPages {
  readonly pages: readonly Page[];
  readonly offset: number;
  readonly length: number;
  /** What was made of all of it. */
  digest?: number;
}

const NO_PAGES: LayerPages = { pages: [], offset: 0, length: 0 };

/** What a read finds. */
export interface State {
  /** Tokens in the layer, as the cache believes. */
  readonly own: number;
  /** Tokens that a read without a window gives. */
  readonly count: number;
  readonly layers: readonly LayerPages[];
}

interface Sequence {
  readonly forked: boolean;
  /** Pages per layer, or of all layers. */
  readonly pages: number[][];
  /** Tokens per layer. */
  readonly length: number[];
  /** Tables that were replaced and are still read. */
  readonly old: (number[] | undefined)[];
  /** Per layer: what reads gave. */
  readonly seen: number[][];
  /** Per layer: what its pages held at the last read; nothing changes between reads that follow one another. */
  readonly found: { readonly edition: number; readonly pages: LayerPages }[];
}

/** Replays operations; what every read finds. */
export function live(
  shape: TraceShape,
  ops: readonly Operation[],
  fault: LifeFault,
  habits: Habits,
): State[] {
  const { layers, pageSize } = shape;
  const shared = habits.tables === "shared";
  const tables = shared ? 1 : layers;
  const width = shared ? layers * pageSize : pageSize;
  const cells: Page[] = [];
  /** A page's slots, to be written. */
  const slots = (page: number): Int32Array => {
    const before = cells[page]!;
    if (before.seen) cells[page] = { slots: before.slots.slice(), seen: false };
    return cells[page]!.slots;
  };
  const counts: number[] = [];
  /** Per page and layer: slots that are hidden from here on. */
  const filled = new Map<number, number>();
  const free: number[][] = Array.from({ length: habits.tables === "pool" ? layers : 1 }, () => []);
  const recycled = new Set<number>();
  const exposed = new Set<number>();
  /** Per page and layer: what was read of it, for faults that read it again. */
  const kept = new Map<number, Int32Array>();
  const sequences = new Map<string, Sequence>();
  const states: State[] = [];
  let token = 0;
  /** Operations that are no reads. */
  let edition = 0;

  const freeOf = (table: number): number[] => free[habits.tables === "pool" ? table : 0]!;
  const take = (table: number): number => {
    const list = freeOf(table);
    let page: number | undefined;
    if (habits.reuse === "latest") page = list.pop();
    else if (habits.reuse === "oldest") page = list.shift();
    else if (habits.reuse === "lowest" && list.length > 0) {
      page = Math.min(...list);
      list.splice(list.indexOf(page), 1);
    }
    if (page === undefined) {
      page = cells.length;
      cells.push({ slots: new Int32Array(width).fill(-1), seen: false });
    } else {
      recycled.add(page);
      if (habits.clears === "taken") slots(page).fill(-1);
    }
    counts[page] = 1;
    return page;
  };
  const drop = (page: number, table: number, force: boolean): void => {
    counts[page] = Math.max(0, counts[page]! - 1);
    if (counts[page]! > 0 && !force && fault.freeShared !== "always") return;
    if (fault.returnedTwice !== "counted") counts[page] = 0;
    const list = freeOf(table);
    if (!fault.returnedTwice && list.includes(page)) return;
    list.push(page);
    if (habits.clears === "freed") slots(page).fill(-1);
  };
  const dropAll = (pages: number[], table: number, force: boolean, freeing: boolean): void => {
    if (habits.backwards === "always" || (habits.backwards === "truncating" && !freeing)) pages.reverse();
    for (const page of pages) drop(page, table, force);
  };
  const inPlace = (s: Sequence): boolean =>
    fault.noCopy === "all" || (fault.noCopy !== undefined && s.forked === (fault.noCopy === "forks"));
  const copied = (s: Sequence, table: number, at: number, slot: number): void => {
    const pages = s.pages[table]!;
    const before = pages[at]!;
    const page = take(table);
    const copy = slots(page);
    const whole = shared || habits.copies === "page";
    if (whole || fault.copy === "empty") copy.fill(-1);
    const source = cells[before]!.slots;
    if (fault.copy !== "empty") copy.set(whole ? source : source.subarray(0, slot));
    if (fault.copy === "short" && slot > 0) copy[slot - 1] = -1;
    if (fault.stale === "after-copy-of-layer") s.old[table] ??= pages.slice();
    if (fault.stale === "after-copy" && s.old.length === 0) s.old.push(...s.pages.map((p) => p.slice()));
    if (fault.stale === "entry") (s.old[table] ??= [])[at] ??= before;
    if (fault.copyFrees) drop(before, table, true);
    else counts[before]!--;
    pages[at] = page;
  };
  const append = (s: Sequence, layer: number, count: number): void => {
    const table = shared ? 0 : layer;
    const offset = shared ? layer * pageSize : 0;
    const pages = s.pages[table]!;
    for (let i = 0; i < count; i++) {
      const n = s.length[layer]!++;
      const at = Math.floor(n / pageSize);
      while (pages.length <= at) pages.push(take(table));
      if (counts[pages[at]!]! > 1 && !inPlace(s) && !exposed.has(pages[at]!))
        copied(s, table, at, offset + (n % pageSize));
      const page = pages[at]!;
      const slot = offset + (n % pageSize);
      const { lostWrites } = fault;
      const lost =
        lostWrites === "occupied"
          ? cells[page]!.slots[slot] !== -1
          : lostWrites && recycled.has(page) && (lostWrites === "all" || n % pageSize === 0);
      if (!lost) slots(page)[slot] = token;
      if (fault.truncateShared === "hide") filled.set(page * layers + layer, (n % pageSize) + 1);
      token++;
    }
  };
  const truncate = (s: Sequence, length: number): void => {
    if (fault.truncateIgnored) return;
    const { truncateShared } = fault;
    const force = truncateShared === "free" || truncateShared === "both";
    const before = s.length.slice();
    for (let l = 0; l < layers; l++) s.length[l] = Math.min(s.length[l]!, length);
    for (let t = 0; t < tables; t++) {
      if (shared ? before.every((n) => n <= length) : before[t]! <= length) continue;
      if (fault.stale === "after-truncate") s.old[t] = s.pages[t]!.slice();
      if (truncateShared === "shorten")
        for (const other of sequences.values())
          if (other !== s && other.pages[t]![0] === s.pages[t]![0])
            for (let l = shared ? 0 : t; l < (shared ? layers : t + 1); l++)
              if (before[l]! > length) other.length[l] = Math.min(other.length[l]!, length);
      const most = shared ? Math.max(...s.length) : s.length[t]!;
      const keep = Math.ceil(most / pageSize);
      const gone = s.pages[t]!.splice(keep);
      if (truncateShared === "hide")
        for (const page of gone) for (let l = 0; l < layers; l++) filled.set(page * layers + l, 0);
      dropAll(gone, t, force, false);
      const last = s.pages[t]![keep - 1];
      if (last === undefined) continue;
      for (let l = shared ? 0 : t; l < (shared ? layers : t + 1); l++) {
        const n = s.length[l]!;
        if (before[l]! <= n || n % pageSize === 0 || Math.floor(n / pageSize) !== keep - 1) continue;
        const offset = shared ? l * pageSize : 0;
        if (truncateShared === "clear" || truncateShared === "both")
          slots(last).fill(-1, offset + (n % pageSize), offset + pageSize);
        if (truncateShared === "hide") filled.set(last * layers + l, n % pageSize);
        if (truncateShared === "write") exposed.add(last);
      }
    }
  };
  const fork = (from: Sequence): Sequence => {
    if (fault.sharedTable)
      return fault.sharedLength ? from : { ...from, length: from.length.slice(), found: [] };
    const pages = from.pages.map((p) => p.slice());
    for (const [t, p] of pages.entries()) {
      const length = shared ? Math.max(...from.length) : from.length[t]!;
      if (fault.forkTailLost === "last" || (fault.forkTailLost && length % pageSize !== 0)) p.pop();
      if (fault.forkUncounted !== "all")
        for (const page of fault.forkUncounted === "last" ? p.slice(0, -1) : p) counts[page]!++;
    }
    return {
      forked: true,
      pages,
      length: fault.sharedLength ? from.length : from.length.slice(),
      old: [],
      seen: [],
      found: [],
    };
  };
  /** A page as it was when it was read first, for as much as was filled: all of it, or slot by slot. */
  const again = (page: Page, key: number, offset: number, filledTo: number): Int32Array => {
    let old = kept.get(key);
    const until = fault.stale === "slot" ? filledTo : filledTo >= pageSize ? pageSize : 0;
    if (!old && until > 0) kept.set(key, (old = new Int32Array(pageSize).fill(-1)));
    if (!old || until <= 0) return page.slots;
    const slots = page.slots.slice();
    for (let i = 0; i < Math.min(pageSize, until); i++)
      if (old[i] === -1) old[i] = slots[offset + i]!;
      else slots[offset + i] = old[i]!;
    return slots;
  };
  /** Pages of a layer, as its table (or what is taken for it) has them. */
  const contents = (s: Sequence, layer: number, asked: boolean): LayerPages => {
    const table = shared ? 0 : layer;
    const offset = shared ? layer * pageSize : 0;
    const old = s.old[table];
    const at = fault.stale === "entry" || !old ? s.pages[table]! : old;
    const pages = at.map((now, i) => {
      const number = fault.stale === "entry" ? (old?.[i] ?? now) : now;
      const page = cells[number]!;
      page.seen = true;
      if (asked && (fault.stale === "page" || fault.stale === "slot"))
        return {
          slots: again(page, number + offset / width, offset, s.length[layer]! - i * pageSize),
          seen: true,
        };
      const end = fault.truncateShared === "hide" ? filled.get(number * layers + layer) : undefined;
      const seen = fault.stale === "read" ? s.seen[layer] : undefined;
      if (end === undefined && !seen) return page;
      const masked = page.slots.slice();
      if (end !== undefined) masked.fill(-1, offset + end, offset + pageSize);
      if (seen) masked.set(seen.slice(i * pageSize, (i + 1) * pageSize), offset);
      return { slots: masked, seen: true };
    });
    const length = s.length[layer]!;
    if (fault.pastTable === "last" && pages.length > 0)
      while (pages.length * pageSize < length) pages.push(pages[pages.length - 1]!);
    return { pages, offset, length };
  };
  /** Those that depend on what was read before are made anew. */
  const remembers = ["read", "page", "slot"].includes(fault.stale ?? "");
  const unchanged = (s: Sequence, layer: number, asked: boolean): LayerPages => {
    if (remembers) return contents(s, layer, asked);
    const known = s.found[layer];
    if (known?.edition === edition) return known.pages;
    const pages = contents(s, layer, asked);
    s.found[layer] = { edition, pages };
    return pages;
  };
  const read = (s: Sequence | undefined, op: Operation): State => {
    const asked = op.length!;
    if (!s) return { own: asked, count: asked, layers: [] };
    const at = op.layer!;
    const own = s.length[at]!;
    // A read comes from its own layer or, wrongly, from one beside it.
    const found = new Array<LayerPages>(layers).fill(NO_PAGES);
    for (const l of [(at + layers - 1) % layers, (at + 1) % layers, at]) found[l] = unchanged(s, l, l === at);
    const state = {
      own: fault.sharedLength && !fault.ownLength ? Math.max(own, asked) : own,
      count: fault.ownLength ? own : asked,
      layers: found,
    };
    if (fault.stale === "read") {
      const { pages, offset } = found[at]!;
      s.seen[at] = Array.from(
        { length: own },
        (_, i) => pages[Math.floor(i / pageSize)]?.slots[offset + (i % pageSize)] ?? -1,
      );
    }
    return state;
  };
  for (const op of ops) {
    if (op.op !== "read") edition++;
    const s = sequences.get(op.seq ?? "");
    if (op.op === "create")
      sequences.set(op.seq!, {
        forked: false,
        pages: Array.from({ length: tables }, () => []),
        length: new Array<number>(layers).fill(0),
        old: [],
        seen: [],
        found: [],
      });
    else if (op.op === "append" && s) append(s, op.layer!, op.count!);
    else if (op.op === "fork") {
      const from = sequences.get(op.from!);
      if (from) sequences.set(op.to!, fork(from));
    } else if (op.op === "truncate" && s) truncate(s, op.length!);
    else if (op.op === "free" && s) {
      for (const [t, pages] of s.pages.entries())
        dropAll(pages.slice(), t, fault.freeShared !== undefined, true);
      sequences.delete(op.seq!);
    } else if (op.op === "read") states.push(read(s, op));
  }
  return states;
}
