/**
 * The pages of a sequence in order of position, as a tree that forks share: nodes of 32 slots, leaves of 32 pages.
 * A fork takes one reference to the root, whatever the length; whoever changes an entry first gets copies of the
 * nodes from the root to it, at most four of them for a million pages.
 *
 * References are counted where they are: a node's are the slots and roots that hold it, a page's are the leaves that
 * list it, and what prefixes pin. A page belongs to one sequence alone where it and every node above it have one
 * reference. Copying a node takes a reference to each of its entries, so a page becomes free exactly when the last
 * sequence that could see it is gone. Entries at or beyond `length` are empty.
 */
import type { Pages } from "./pages.js";

/** Stands in a page table where a page was released. */
export const RELEASED = -1;

const BITS = 5;
const WIDTH = 1 << BITS;
/** Pages of a leaf. */
export const LEAF_PAGES = WIDTH;
const MASK = WIDTH - 1;
const NONE: never[] = [];

/** A leaf has pages, the others children; a subtree without pages is undefined. */
export interface TableNode {
  references: number;
  /** Pages below, released ones not counted. */
  present: number;
  readonly children: (TableNode | undefined)[];
  readonly pages: number[];
}

/** Bytes of a node: an object of four fields and an array of 32 slots. */
export const NODE_BYTES = 48 + 16 + 8 * WIDTH;

const spanOf = (height: number): number => WIDTH ** height;

export class PageTable {
  readonly #pages: Pages;
  #root: TableNode | undefined;
  /** Levels of nodes: the tree has room for WIDTH ^ height pages. */
  #height = 0;
  #length = 0;

  constructor(pages: Pages) {
    this.#pages = pages;
  }

  /** Entries, released ones included. */
  get length(): number {
    return this.#length;
  }
  /** Pages that are there. */
  get present(): number {
    return this.#root?.present ?? 0;
  }

  /** The page at an index, or RELEASED. */
  get(index: number): number {
    return this.leaf(index)?.[index & MASK] ?? RELEASED;
  }

  /** The pages of the leaf that an index lies in, index mod LEAF_PAGES each; undefined where none is present. */
  leaf(index: number): readonly number[] | undefined {
    let node = this.#root;
    for (let shift = BITS * (this.#height - 1); node && shift > 0; shift -= BITS)
      node = node.children[(index >>> shift) & MASK];
    return node?.pages;
  }

  /** Whether anyone else, a table or a prefix, refers to the page at an index. */
  isShared(index: number): boolean {
    let node = this.#root;
    for (let shift = BITS * (this.#height - 1); node; shift -= BITS) {
      if (node.references > 1) return true;
      if (shift === 0) return this.#pages.references[node.pages[index & MASK]!]! > 1;
      node = node.children[(index >>> shift) & MASK];
    }
    return false;
  }

  /** Appends a page, whose reference passes to the table, or RELEASED. */
  push(page: number): void {
    const index = this.#length++;
    if (index === (this.#height === 0 ? 0 : spanOf(this.#height))) this.#grow();
    if (page !== RELEASED) this.#own(index, 1).pages[index & MASK] = page;
  }

  /** Puts another page in the place of one that is there: the new one's reference passes to the table, the old one's ends. */
  replace(index: number, page: number): void {
    const leaf = this.#own(index, 0);
    const before = leaf.pages[index & MASK]!;
    leaf.pages[index & MASK] = page;
    this.#pages.release(before);
  }

  /** Marks entries from … to (exclusive) as released, the last one first. How many pages that were. */
  release(from: number, to: number): number {
    const before = this.present;
    if (this.#root && from < to) this.#root = this.#without(this.#root, this.#height, from, to);
    return before - this.present;
  }

  /** Drops the entries from `length` on, the last one first. */
  truncate(length: number): void {
    this.release(length, this.#length);
    this.#length = length;
    while (this.#height > 0 && length <= (this.#height === 1 ? 0 : spanOf(this.#height - 1))) {
      this.#root = this.#root?.children[0];
      this.#height--;
    }
  }

  /** A table with the same entries, which both share. */
  fork(): PageTable {
    const copy = new PageTable(this.#pages);
    copy.#root = this.#root;
    copy.#height = this.#height;
    copy.#length = this.#length;
    if (this.#root) this.#root.references++;
    return copy;
  }

  /** Entries from … to (exclusive). */
  toArray(from = 0, to = this.#length): number[] {
    return Array.from({ length: to - from }, (_, i) => this.get(from + i));
  }

  /**
   * Goes through the nodes that `seen` does not have yet and counts for every node how often it was met; `visit` gets the
   * pages of new leaves and whether anyone else refers to them.
   */
  survey(seen: Map<TableNode, number>, visit: (page: number, shared: boolean) => void): void {
    const go = (node: TableNode | undefined, sharedAbove: boolean): void => {
      if (!node) return;
      const met = seen.get(node) ?? 0;
      seen.set(node, met + 1);
      if (met > 0) return;
      const shared = sharedAbove || node.references > 1;
      for (const child of node.children) go(child, shared);
      for (const page of node.pages)
        if (page !== RELEASED) visit(page, shared || this.#pages.references[page]! > 1);
    };
    go(this.#root, false);
  }

  #grow(): void {
    if (this.#root) {
      const root = emptyNode(false);
      root.children[0] = this.#root;
      root.present = this.#root.present;
      this.#root = root;
    }
    this.#height++;
  }

  /** The leaf of an index, after making every node down to it this table's own; each counts `added` pages more. */
  #own(index: number, added: number): TableNode {
    let node = this.#root ? this.#exclusive(this.#root) : emptyNode(this.#height === 1);
    this.#root = node;
    node.present += added;
    for (let shift = BITS * (this.#height - 1); shift > 0; shift -= BITS) {
      const slot = (index >>> shift) & MASK;
      const child = node.children[slot];
      const own = child ? this.#exclusive(child) : emptyNode(shift === BITS);
      node.children[slot] = own;
      own.present += added;
      node = own;
    }
    return node;
  }

  /** A node that only its holder refers to: itself, or a copy that takes its place there. */
  #exclusive(node: TableNode): TableNode {
    if (node.references === 1) return node;
    node.references--;
    for (const child of node.children) if (child) child.references++;
    for (const page of node.pages) if (page !== RELEASED) this.#pages.retain(page);
    return {
      references: 1,
      present: node.present,
      children: node.children.slice(),
      pages: node.pages.slice(),
    };
  }

  /** The subtree without the entries from … to, counted from its first; undefined when nothing is left. */
  #without(node: TableNode, height: number, from: number, to: number): TableNode | undefined {
    if (from <= 0 && to >= spanOf(height)) {
      this.#drop(node);
      return undefined;
    }
    const own = this.#exclusive(node);
    const span = spanOf(height - 1);
    for (
      let slot = Math.min(WIDTH, Math.ceil(to / span)) - 1;
      slot >= Math.max(0, Math.floor(from / span));
      slot--
    ) {
      if (height === 1) {
        const page = own.pages[slot]!;
        if (page === RELEASED) continue;
        own.pages[slot] = RELEASED;
        own.present--;
        this.#pages.release(page);
        continue;
      }
      const child = own.children[slot];
      if (!child) continue;
      own.present -= child.present;
      const left = this.#without(child, height - 1, from - slot * span, to - slot * span);
      own.children[slot] = left;
      own.present += left?.present ?? 0;
    }
    return own.present > 0 ? own : undefined;
  }

  /** Gives a reference to a node back; the last one gives back those to its entries, the last entry first. */
  #drop(node: TableNode): void {
    if (--node.references > 0) return;
    for (let i = node.children.length - 1; i >= 0; i--) {
      const child = node.children[i];
      if (child) this.#drop(child);
    }
    for (let i = node.pages.length - 1; i >= 0; i--)
      if (node.pages[i] !== RELEASED) this.#pages.release(node.pages[i]!);
  }
}

function emptyNode(leaf: boolean): TableNode {
  return {
    references: 1,
    present: 0,
    children: leaf ? NONE : new Array<undefined>(WIDTH).fill(undefined),
    pages: leaf ? new Array<number>(WIDTH).fill(RELEASED) : NONE,
  };
}
