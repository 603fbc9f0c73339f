/** A small paged cache of f32 rows, plain enough to be broken on purpose in one place at a time. */
import type { CacheUnderTest } from "../../src/properties/index.js";

export interface Flaws {
  /** A shared page is written in place. */
  readonly noCopy?: boolean;
  /** Freeing a sequence forgets its pages, or frees those that others hold. */
  readonly leak?: boolean;
  readonly freeShared?: boolean;
  /** A fork has the same length object as its parent. */
  readonly sharedLength?: boolean;
  /** Truncation clears what forks still have. */
  readonly truncateShared?: boolean;
  readonly swapped?: boolean;
  readonly zeroKeys?: boolean;
  readonly layerOff?: boolean;
  readonly tableOff?: boolean;
}

interface Page {
  refs: number;
  readonly rows: Float32Array;
}
interface Sequence {
  table: Page[];
  length: { value: number };
  filled: number[];
  /** All that were forked from one another. */
  readonly family: Sequence[];
}

const PAGE_TOKENS = 4;

export class SmallCache implements CacheUnderTest<Sequence> {
  used = 0;
  readonly #row: number;

  constructor(
    readonly layers: number,
    row: number,
    readonly flaws: Flaws = {},
  ) {
    this.#row = row;
  }

  create(): Sequence {
    return this.#join({
      table: [],
      length: { value: 0 },
      filled: new Array(this.layers).fill(0),
      family: [],
    });
  }

  #join(seq: Sequence): Sequence {
    seq.family.push(seq);
    return seq;
  }

  #page(): Page {
    this.used++;
    return { refs: 1, rows: new Float32Array(this.layers * 2 * PAGE_TOKENS * this.#row) };
  }
  #drop(page: Page): void {
    if (this.flaws.leak) return;
    if (--page.refs === 0) this.used--;
    else if (this.flaws.freeShared) page.rows.fill(0);
  }
  #offset(layer: number, side: number, at: number): number {
    return ((layer * 2 + side) * PAGE_TOKENS + at) * this.#row;
  }

  append(seq: Sequence, layer: number, keys: Float32Array, values: Float32Array): void {
    const { noCopy, layerOff } = this.flaws;
    const count = keys.length / this.#row;
    for (let t = 0; t < count; t++) {
      const position = seq.filled[layer]!++;
      const index = Math.floor(position / PAGE_TOKENS);
      if (index === seq.table.length) seq.table.push(this.#page());
      let page = seq.table[index]!;
      if (page.refs > 1 && !noCopy) {
        const copy = this.#page();
        copy.rows.set(page.rows);
        this.#drop(page);
        page = copy;
        seq.table[index] = copy;
      }
      const at = position % PAGE_TOKENS;
      const to = layerOff ? (layer + 1) % this.layers : layer;
      page.rows.set(keys.subarray(t * this.#row, (t + 1) * this.#row), this.#offset(to, 0, at));
      page.rows.set(values.subarray(t * this.#row, (t + 1) * this.#row), this.#offset(to, 1, at));
    }
    seq.length.value = Math.min(...seq.filled);
  }

  fork(seq: Sequence): Sequence {
    for (const page of seq.table) page.refs++;
    return this.#join({
      table: [...seq.table],
      length: this.flaws.sharedLength ? seq.length : { ...seq.length },
      filled: [...seq.filled],
      family: seq.family,
    });
  }

  truncate(seq: Sequence, length: number): void {
    for (const page of seq.table.splice(Math.ceil(length / PAGE_TOKENS))) this.#drop(page);
    seq.length.value = length;
    seq.filled.fill(length);
    if (!this.flaws.truncateShared) return;
    for (const other of seq.family)
      for (const page of other.table.slice(Math.ceil(length / PAGE_TOKENS))) page.rows.fill(0);
  }

  free(seq: Sequence): void {
    for (const page of seq.table) this.#drop(page);
    seq.table = [];
  }

  length(seq: Sequence): number {
    return seq.length.value;
  }

  read(seq: Sequence, layer: number, side: "key" | "value"): Float32Array {
    const { swapped, zeroKeys, tableOff } = this.flaws;
    const out = new Float32Array(seq.length.value * this.#row);
    if (zeroKeys && side === "key") return out;
    const which = (side === "key") !== (swapped ?? false) ? 0 : 1;
    for (let t = 0; t < seq.length.value; t++) {
      const index = Math.floor(t / PAGE_TOKENS);
      const page = seq.table[tableOff && index > 0 ? index - 1 : index];
      if (!page) continue;
      const from = this.#offset(layer, which, t % PAGE_TOKENS);
      out.set(page.rows.subarray(from, from + this.#row), t * this.#row);
    }
    return out;
  }
}
