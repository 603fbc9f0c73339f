/** Keys less the mean that turns with their position, on the way in, and the mean back on the way out. */
import { type Center, turnMean } from "../core/centring.js";
import { Turns } from "../core/rope.js";

export class KeyCenter {
  readonly #center: Center;
  readonly #kvHeads: number;
  readonly #dim: number;
  readonly #turns: Turns | undefined;
  readonly #turn: Float32Array;
  readonly #mean: Float32Array;
  #space = new Float32Array(0);

  constructor(center: Center, kvHeads: number, dim: number) {
    this.#center = center;
    this.#kvHeads = kvHeads;
    this.#dim = dim;
    this.#turns = center.rope && new Turns(center.rope);
    this.#turn = new Float32Array(center.rope?.dimensions ?? 0);
    this.#mean = new Float32Array(dim);
  }

  /** Bytes of the means. */
  get bytes(): number {
    return this.#center.means.byteLength;
  }

  /** keys: (tokens, kvHeads, dim) from token `position` on → the same less their means, valid until the next call. */
  centred(layer: number, position: number, keys: Float32Array): Float32Array {
    if (this.#space.length < keys.length) this.#space = new Float32Array(keys.length);
    const out = this.#space.subarray(0, keys.length);
    out.set(keys);
    this.#shift(layer, position, out, -1);
    return out;
  }

  /** keys: (tokens, kvHeads, dim) from token `position` on += their means. */
  restore(layer: number, position: number, keys: Float32Array): void {
    this.#shift(layer, position, keys, 1);
  }

  #shift(layer: number, position: number, keys: Float32Array, sign: 1 | -1): void {
    const { means, rope } = this.#center;
    const dim = this.#dim;
    const row = this.#kvHeads * dim;
    for (let t = 0; t * row < keys.length; t++) {
      if (this.#turns) this.#turns.put(position + t, this.#turn);
      for (let head = 0; head < this.#kvHeads; head++) {
        const first = (layer * this.#kvHeads + head) * dim;
        const mean = means.subarray(first, first + dim);
        if (rope) turnMean(rope, mean, this.#turn, this.#mean);
        else this.#mean.set(mean);
        const at = t * row + head * dim;
        for (let i = 0; i < dim; i++) keys[at + i]! += sign * this.#mean[i]!;
      }
    }
  }
}
