/**
 * The first tokens of a sequence in halves. Their keys and values carry much attention and have unusual norms, so they are
 * kept in f16, in the basis that attention computes in, beside the page that holds their positions: a block for each
 * page that is the first of a sequence. A block goes where its page goes (forks, prefixes, copies), and the tokens' places
 * among the page's codes stay zero.
 */
import type { Side } from "../formats/format.js";
import type { Arena } from "../kernels/arena.js";
import type { Geometry } from "./layout.js";

export class SinkBlocks {
  /** Tokens in halves: positions below this. */
  readonly tokens: number;
  /** Of a head's keys, or values. */
  readonly headBytes: number;
  readonly blockBytes: number;
  readonly #arena: Arena;
  readonly #geometry: Geometry;
  /** Where each page's block is; 0: it has none. */
  readonly #pointers: Uint32Array;
  #spare = 0;
  #count = 0;

  constructor(arena: Arena, geometry: Geometry, tokens: number) {
    const { layers, kvHeads, headDim, pages } = geometry;
    this.tokens = tokens;
    this.headBytes = tokens * 2 * headDim;
    this.blockBytes = 2 * layers * kvHeads * this.headBytes;
    this.#arena = arena;
    this.#geometry = geometry;
    this.#pointers = new Uint32Array(tokens > 0 ? pages : 0);
  }

  /** Blocks that pages have. */
  get count(): number {
    return this.#count;
  }

  has(page: number): boolean {
    return this.tokens > 0 && this.#pointers[page] !== 0;
  }

  /** Where the halves of a head begin in a page's block: (tokens, headDim). */
  pointer(page: number, layer: number, side: Side, head: number): number {
    const row = (2 * layer + (side === "key" ? 0 : 1)) * this.#geometry.kvHeads + head;
    return this.#pointers[page]! + row * this.headBytes;
  }

  bytes(page: number): Uint8Array {
    return this.#arena.bytes(this.#pointers[page]!, this.blockBytes);
  }

  /** Makes sure that the next `open` needs no memory. @throws RangeError when there is none. */
  prepare(): void {
    if (this.tokens > 0 && this.#spare === 0) this.#spare = this.#arena.allocate(this.blockBytes);
  }

  /** Gives a page a block of zeros, unless it has one. */
  open(page: number): void {
    if (this.tokens === 0 || this.#pointers[page] !== 0) return;
    this.prepare();
    this.#pointers[page] = this.#spare;
    this.#spare = 0;
    this.#count++;
    this.bytes(page).fill(0);
  }

  /** A page begins a new life: what it had is forgotten. */
  close(page: number): void {
    if (!this.has(page)) return;
    this.#arena.release(this.#pointers[page]!);
    this.#pointers[page] = 0;
    this.#count--;
  }

  /** The first `filled(layer)` tokens of each layer become those of another page; a block must be prepared. */
  copy(from: number, to: number, filled: (layer: number) => number): void {
    if (!this.has(from)) return;
    this.open(to);
    this.bytes(to).set(this.bytes(from));
    for (let layer = 0; layer < this.#geometry.layers; layer++)
      this.wipe(to, layer, filled(layer), this.tokens);
  }

  /** Zeros for tokens at … end of a layer. */
  wipe(page: number, layer: number, at: number, end: number): void {
    if (!this.has(page)) return;
    const stop = Math.min(end, this.tokens);
    if (stop <= at) return;
    const row = 2 * this.#geometry.headDim;
    for (const side of ["key", "value"] as const)
      for (let head = 0; head < this.#geometry.kvHeads; head++) {
        const base = this.pointer(page, layer, side, head);
        this.#arena.u8.fill(0, base + at * row, base + stop * row);
      }
  }

  dispose(): void {
    for (const pointer of this.#pointers) if (pointer !== 0) this.#arena.release(pointer);
    if (this.#spare !== 0) this.#arena.release(this.#spare);
    this.#pointers.fill(0);
    this.#spare = 0;
    this.#count = 0;
  }
}
