/**
 * Where a vector lies in a page. A page holds `pageTokens` tokens of all layers:
 *
 *   layer 0 key: head 0 (pageTokens vectors) | head 1 | …   layer 0 value: …   layer 1 key: …
 *
 * so that the vectors of one head are contiguous, in rows or in tiles of as many bytes (attention/vector-store.ts), which is
 * what the kernels read. Each (layer, side) begins at a
 * multiple of 16 bytes; that padding is part of the page's size and is counted.
 */
import type { PageRegion } from "../attention/token-runs.js";
import type { Side } from "../formats/format.js";

export interface Geometry {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly pageTokens: number;
  readonly pages: number;
}

export class PageLayout {
  readonly pageBytes: number;
  /** Bytes of one token in all layers, both sides, all heads, without padding. */
  readonly tokenBytes: number;
  readonly #regions: readonly PageRegion[];

  /** stride: bytes per vector of a layer's side. */
  constructor(geometry: Geometry, stride: (layer: number, side: Side) => number) {
    const { layers, kvHeads, pageTokens } = geometry;
    const regions: PageRegion[] = [];
    let offset = 0;
    let tokenBytes = 0;
    for (let layer = 0; layer < layers; layer++) {
      for (const side of ["key", "value"] as const) {
        const bytes = stride(layer, side);
        const headBytes = bytes * pageTokens;
        regions.push({ offset, stride: bytes, headBytes });
        offset += Math.ceil((kvHeads * headBytes) / 16) * 16;
        tokenBytes += kvHeads * bytes;
      }
    }
    this.#regions = regions;
    this.pageBytes = offset;
    this.tokenBytes = tokenBytes;
  }

  region(layer: number, side: Side): PageRegion {
    return this.#regions[2 * layer + (side === "key" ? 0 : 1)]!;
  }
}
