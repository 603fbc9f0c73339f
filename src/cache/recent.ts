/**
 * The last tokens of a sequence in halves, beside their packed codes: a ring for each layer, side and head, in the basis that
 * attention computes in. A token is encoded when it arrives, so pages are whole at any time (prefixes, snapshots and
 * forks are what they are without the window), and what it becomes when it leaves the window is what it would be
 * without one. A sequence has one block for all layers; forks share it until one of them writes.
 */
import type { Side } from "../formats/format.js";
import type { Arena } from "../kernels/arena.js";
import type { Geometry } from "./layout.js";

/** Rings of all layers, shared by `references` sequences. */
export interface RecentBlock {
  readonly pointer: number;
  references: number;
}

/** What of a sequence is in halves. */
export interface RecentTokens {
  block: RecentBlock | undefined;
  /** For each layer the first token whose halves are there, at most the layer's tokens. */
  readonly from: Uint32Array;
}

export class RecentBlocks {
  /** Tokens in halves: the last so many of each layer, but for sinks. */
  readonly tokens: number;
  /** Of a head's keys, or values. */
  readonly headBytes: number;
  readonly blockBytes: number;
  readonly #arena: Arena;
  readonly #geometry: Geometry;
  #spare = 0;
  #count = 0;

  constructor(arena: Arena, geometry: Geometry, tokens: number) {
    const { layers, kvHeads, headDim } = geometry;
    this.tokens = tokens;
    this.headBytes = tokens * 2 * headDim;
    this.blockBytes = 2 * layers * kvHeads * this.headBytes;
    this.#arena = arena;
    this.#geometry = geometry;
  }

  /** Blocks that sequences have. */
  get count(): number {
    return this.#count;
  }

  /** Where the ring of a head begins: (tokens, headDim) halves. */
  pointer(block: RecentBlock, layer: number, side: Side, head: number): number {
    const row = (2 * layer + (side === "key" ? 0 : 1)) * this.#geometry.kvHeads + head;
    return block.pointer + row * this.headBytes;
  }

  bytes(block: RecentBlock): Uint8Array {
    return this.#arena.bytes(block.pointer, this.blockBytes);
  }

  /** Makes sure that the next `own` needs no memory. @throws RangeError when there is none. */
  prepare({ block }: RecentTokens): void {
    if (this.tokens === 0 || this.#spare !== 0 || block?.references === 1) return;
    this.#spare = this.#arena.allocate(this.blockBytes);
  }

  /** The block of a sequence, made its own. */
  own(recent: RecentTokens): RecentBlock {
    const shared = recent.block;
    if (shared?.references === 1) return shared;
    this.prepare(recent);
    const own = { pointer: this.#spare, references: 1 };
    this.#spare = 0;
    this.#count++;
    if (shared) {
      this.bytes(own).set(this.bytes(shared));
      shared.references--;
    } else this.bytes(own).fill(0);
    recent.block = own;
    return own;
  }

  /** A fork's share of a sequence's halves. */
  share(parent: RecentTokens, child: RecentTokens): void {
    child.from.set(parent.from);
    child.block = parent.block;
    if (child.block) child.block.references++;
  }

  /** A sequence ends. */
  drop(recent: RecentTokens): void {
    const { block } = recent;
    recent.block = undefined;
    if (!block || --block.references > 0) return;
    this.#arena.release(block.pointer);
    this.#count--;
  }

  /** A layer of a sequence grew to `fill` tokens, all in halves that are not older than the window and no sinks. */
  advance({ from }: RecentTokens, layer: number, fill: number, sinks: number): void {
    from[layer] =
      this.tokens === 0 ? fill : Math.max(from[layer]!, fill - this.tokens, Math.min(sinks, fill));
  }

  /** Tokens from `length` on are forgotten. */
  truncate({ from }: RecentTokens, length: number): void {
    for (let layer = 0; layer < from.length; layer++) from[layer] = Math.min(from[layer]!, length);
  }

  /** Takes the spare block back; sequences' own went with them, or with the arena. */
  dispose(blocks: Iterable<RecentTokens>): void {
    for (const recent of blocks) this.drop(recent);
    if (this.#spare !== 0) this.#arena.release(this.#spare);
    this.#spare = 0;
  }
}
