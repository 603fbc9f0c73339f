/**
 * The vectors in a page, through the store of each format: where they go, where they come from, and a whole page as wire
 * bytes (layout.ts) and back, whatever lies in it.
 */
import type { VectorStore } from "../attention/vector-store.js";
import type { Side } from "../formats/format.js";
import type { Arena } from "../kernels/arena.js";
import type { Geometry, PageLayout } from "./layout.js";

const SIDES = ["key", "value"] as const;

export class PageVectors {
  readonly layout: PageLayout;
  readonly #arena: Arena;
  readonly #geometry: Geometry;
  readonly #store: (layer: number, side: Side) => VectorStore;
  /** A head's vectors of a page as rows. */
  readonly #rows: number;

  constructor(
    arena: Arena,
    geometry: Geometry,
    layout: PageLayout,
    store: (layer: number, side: Side) => VectorStore,
  ) {
    this.layout = layout;
    this.#arena = arena;
    this.#geometry = geometry;
    this.#store = store;
    const strides = Array.from({ length: geometry.layers }, (_, layer) =>
      SIDES.map((side) => layout.region(layer, side).headBytes),
    );
    this.#rows = arena.allocate(Math.max(...strides.flat()));
  }

  /** rows: (count, kvHeads, stride) → tokens from `at` on of a layer's side. page: where it begins. */
  put(page: number, layer: number, side: Side, rows: number, at: number, count: number): void {
    const { offset, stride, headBytes } = this.layout.region(layer, side);
    const { kvHeads } = this.#geometry;
    const store = this.#store(layer, side);
    for (let head = 0; head < kvHeads; head++)
      store.put(rows + head * stride, kvHeads * stride, at, count, page + offset + head * headBytes);
  }

  /** Where tokens from `at` on of a head are as rows (count, stride): in place, or copied until the next call. */
  rows(page: number, layer: number, side: Side, head: number, at: number, count: number): number {
    const { offset, stride, headBytes } = this.layout.region(layer, side);
    const store = this.#store(layer, side);
    const base = page + offset + head * headBytes;
    if (store.inRows) return base + at * stride;
    store.take(base, at, count, this.#rows);
    return this.#rows;
  }

  /** The first `count` tokens of a layer to a page of zeros. */
  copy(from: number, to: number, layer: number, count: number): void {
    this.#each(layer, (store, at) => store.copy(from + at, to + at, count));
  }

  /** Zeros for tokens at … end − 1 of a layer. */
  wipe(page: number, layer: number, at: number, end: number): void {
    this.#each(layer, (store, base) => store.wipe(page + base, at, end));
  }

  /** A page as wire bytes, with zeros from `fill[layer]` tokens on. */
  save(page: number, fill: readonly number[]): Uint8Array {
    const bytes = new Uint8Array(this.layout.pageBytes);
    for (const [layer, tokens] of fill.entries())
      for (const side of SIDES) {
        const { offset, stride, headBytes } = this.layout.region(layer, side);
        for (let head = 0; head < this.#geometry.kvHeads; head++) {
          const rows = this.rows(page, layer, side, head, 0, tokens);
          bytes.set(this.#arena.bytes(rows, tokens * stride), offset + head * headBytes);
        }
      }
    return bytes;
  }

  /** The inverse, into a page of zeros. */
  restore(page: number, bytes: Uint8Array): void {
    const { layers, kvHeads, pageTokens } = this.#geometry;
    for (let layer = 0; layer < layers; layer++)
      for (const side of SIDES) {
        const { offset, stride, headBytes } = this.layout.region(layer, side);
        for (let head = 0; head < kvHeads; head++) {
          const at = offset + head * headBytes;
          this.#arena.u8.set(bytes.subarray(at, at + headBytes), this.#rows);
          this.#store(layer, side).put(this.#rows, stride, 0, pageTokens, page + at);
        }
      }
  }

  release(): void {
    this.#arena.release(this.#rows);
  }

  /** Calls with each head's store, and where its vectors begin in a page. */
  #each(layer: number, visit: (store: VectorStore, at: number) => void): void {
    for (const side of SIDES) {
      const { offset, headBytes } = this.layout.region(layer, side);
      const store = this.#store(layer, side);
      for (let head = 0; head < this.#geometry.kvHeads; head++) visit(store, offset + head * headBytes);
    }
  }
}
