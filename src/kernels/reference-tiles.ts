/** The reference of the kernels over tiles: the definitions of tile.ts, tables.ts and integers.ts, bound to an arena. */
import { packedBytes, unpackCodes } from "../core/bits.js";
import { fromF16 } from "../core/float.js";
import type { Arena } from "./arena.js";
import {
  integerLevels,
  integerQuery,
  integerWeights,
  keyOrder,
  type LevelBytes,
  levelsForSums,
  SIGN_LEVELS,
  sumFloats,
  sumOrder,
} from "./integers.js";
import { makeTables8, makeTables16, setFloats, sumTables, tableBytes } from "./tables.js";
import { putInTile, TILE_TOKENS, type TileShape, takeFromTile } from "./tile.js";
import { SOFTMAX_TOKENS, type TileKernels } from "./tile-kernels.js";

const { fround } = Math;

/** The codes of a vector or the bits of its sketch, and what makes a score of their sum. */
interface Part {
  readonly bits: number;
  readonly n: number;
  readonly levels: Float32Array;
  /** Where the codes and the half that scales them are in a vector. */
  readonly at: number;
  readonly half: number;
  /** What scores of the part are multiplied with before they are added; none for the first. */
  readonly factor: number | undefined;
}

interface TilePlan extends TileShape {
  readonly parts: readonly Part[];
}

type Side = "key" | "value";

export abstract class ReferenceTileKernels implements TileKernels {
  constructor(readonly arena: Arena) {}

  abstract weighTile(x: number, n: number, state: number): void;

  tileKeys(plan: number, rows: number, step: number, first: number, count: number, tile: number): void {
    this.#tile("key", plan, rows, step, first, count, tile);
  }
  tileValues(plan: number, rows: number, step: number, first: number, count: number, tile: number): void {
    this.#tile("value", plan, rows, step, first, count, tile);
  }
  untileKeys(plan: number, tile: number, first: number, count: number, rows: number, step: number): void {
    this.#untile("key", plan, tile, first, count, rows, step);
  }
  untileValues(plan: number, tile: number, first: number, count: number, rows: number, step: number): void {
    this.#untile("value", plan, tile, first, count, rows, step);
  }

  prepareTables8(plan: number, query: number, sketched: number, out: number): void {
    this.#prepareTables(plan, query, sketched, out, 1);
  }
  prepareTables16(plan: number, query: number, sketched: number, out: number): void {
    this.#prepareTables(plan, query, sketched, out, 2);
  }
  scoreTables8(plan: number, tables: number, tiles: number, n: number, out: number): void {
    this.#scoreTables(plan, tables, tiles, n, out, 1);
  }
  scoreTables16(plan: number, tables: number, tiles: number, n: number, out: number): void {
    this.#scoreTables(plan, tables, tiles, n, out, 2);
  }

  prepareIntegers(plan: number, query: number, sketched: number, out: number): void {
    let at = out;
    for (const { bits, n, levels, factor } of this.#plan(plan).parts) {
      const x = this.arena.floats(factor === undefined ? query : sketched, n);
      const { step, values } = integerQuery(levels, x);
      setFloats(this.arena.bytes(at, 4), [step]);
      const integers = new Int16Array(this.arena.u8.buffer, at + 16, n);
      keyOrder(bits, n).forEach((i, place) => {
        integers[place] = values[i]!;
      });
      at += 16 + 2 * n;
    }
  }

  scoreIntegers(
    plan: number,
    queries: number,
    stride: number,
    rows: number,
    tiles: number,
    n: number,
    out: number,
    outStride: number,
    _work: number,
  ): void {
    const { parts } = this.#plan(plan);
    const orders = parts.map(({ bits, n }) => keyOrder(bits, n));
    const integers = parts.map(({ levels }) => integerLevels(levels));
    for (let r = 0; r < rows; r++)
      this.#score(plan, "key", tiles, n, out + r * outStride, (codes, p) => {
        const query = queries + r * stride + (p === 0 ? 0 : 16 + 2 * parts[0]!.n);
        const values = new Int16Array(this.arena.u8.buffer, query + 16, codes.length);
        let sum = 0;
        orders[p]!.forEach((i, place) => {
          sum = (sum + integers[p]![codes[i]!]! * values[place]!) | 0;
        });
        return fround(fround(sum) * this.arena.f32[query >>> 2]!);
      });
  }

  accumulateIntegers(
    plan: number,
    levelBytes: LevelBytes,
    weights: number,
    weightStride: number,
    rows: number,
    tiles: number,
    n: number,
    acc: number,
    accStride: number,
    _work: number,
  ): void {
    const view = this.#plan(plan);
    let skip = 0;
    for (const [p, part] of view.parts.entries()) {
      const { bits, levels } = part;
      const { unit, values: integers } = levelsForSums(levels, levelBytes);
      const order = sumOrder(bits, part.n);
      const tokens = this.#tokens(view, "value", tiles, n, p);
      for (let r = 0; r < rows; r++) {
        const w = this.arena.floats(weights + r * weightStride, TILE_TOKENS * n);
        const products = Float32Array.from(w, (x, t) => (x === 0 ? 0 : x * tokens[t]!.half));
        const block = integerWeights(products, unit, levelBytes);
        if (block === "skip") continue;
        const sums = this.arena.floats(acc + r * accStride + skip, order.length);
        order.forEach((i, place) => {
          if (i < 0) return;
          if (block === "nan") {
            sums[place] = Number.NaN;
            return;
          }
          let sum = 0;
          for (const [t, { codes }] of tokens.entries())
            sum = (sum + integers[codes[i]!]! * block.values[t]!) | 0;
          sums[place]! += fround(fround(sum) * block.factor);
        });
      }
      skip += 4 * sumFloats(bits, part.n);
    }
  }

  attendTiles(
    keyPlan: number,
    entryBytes: 1 | 2,
    tables: number,
    valuePlan: number,
    levelBytes: LevelBytes,
    pages: number,
    pageTiles: number,
    keyOffset: number,
    valueOffset: number,
    tokens: number,
    state: number,
    sums: number,
    sumFloats: number,
    work: number,
  ): void {
    const { f32, u32 } = this.arena;
    const [keys, values, scores] = [work, work + 32, work + 64];
    const list = (plan: number, offset: number, first: number, n: number, out: number): void => {
      for (let i = 0; i < n; i++) {
        const page = u32[(pages >>> 2) + Math.floor((first + i) / pageTiles)]!;
        u32[(out >>> 2) + i] =
          page + offset + ((first + i) % pageTiles) * TILE_TOKENS * this.#plan(plan).stride;
      }
    };
    const at = scores >>> 2;
    for (let t = 0; t < tokens; t += SOFTMAX_TOKENS) {
      const count = Math.min(SOFTMAX_TOKENS, tokens - t);
      const n = Math.ceil(count / TILE_TOKENS);
      list(keyPlan, keyOffset, t / TILE_TOKENS, n, keys);
      list(valuePlan, valueOffset, t / TILE_TOKENS, n, values);
      this.#scoreTables(keyPlan, tables, keys, n, scores, entryBytes);
      this.weighTile(scores, count, state);
      const factor = f32[(state >>> 2) + 2]!;
      for (let i = sums >>> 2; i < (sums >>> 2) + sumFloats; i++) f32[i]! *= factor;
      f32.fill(0, at + count, at + TILE_TOKENS * n);
      this.accumulateIntegers(valuePlan, levelBytes, scores, 64 * n, 1, values, n, sums, 0, scores);
    }
  }

  gatherSums(plan: number, acc: number, out: number): void {
    const { f32 } = this.arena;
    let from = acc >>> 2;
    let to = out >>> 2;
    for (const { bits, n } of this.#plan(plan).parts) {
      for (const i of sumOrder(bits, n)) {
        if (i >= 0) f32[to + i] = f32[from]!;
        from++;
      }
      to += n;
    }
  }

  #tile(
    side: Side,
    plan: number,
    rows: number,
    step: number,
    first: number,
    count: number,
    tile: number,
  ): void {
    const shape = this.#plan(plan);
    const bytes = this.arena.bytes(tile, TILE_TOKENS * shape.stride);
    for (let i = 0; i < count; i++)
      putInTile(shape, side, this.arena.bytes(rows + i * step, shape.stride), bytes, first + i);
  }

  #untile(
    side: Side,
    plan: number,
    tile: number,
    first: number,
    count: number,
    rows: number,
    step: number,
  ): void {
    const shape = this.#plan(plan);
    const bytes = this.arena.bytes(tile, TILE_TOKENS * shape.stride);
    for (let i = 0; i < count; i++)
      takeFromTile(shape, side, bytes, first + i, this.arena.bytes(rows + i * step, shape.stride));
  }

  #prepareTables(plan: number, query: number, sketched: number, out: number, entryBytes: 1 | 2): void {
    let at = out;
    for (const { bits, n, levels, factor } of this.#plan(plan).parts) {
      const size = tableBytes(n, bits, entryBytes);
      const make = entryBytes === 1 ? makeTables8 : makeTables16;
      make(
        levels,
        bits,
        this.arena.floats(factor === undefined ? query : sketched, n),
        this.arena.bytes(at, size),
      );
      at += size;
    }
  }

  #scoreTables(plan: number, tables: number, tiles: number, n: number, out: number, entryBytes: 1 | 2): void {
    const { parts } = this.#plan(plan);
    const sizes = parts.map(({ n, bits }) => tableBytes(n, bits, entryBytes));
    this.#score(plan, "key", tiles, n, out, (codes, p) =>
      sumTables(
        codes,
        parts[p]!.bits,
        entryBytes,
        this.arena.bytes(tables + (p === 0 ? 0 : sizes[0]!), sizes[p]!),
      ),
    );
  }

  /** out: (16·n,) ← sums of the parts, each times its half. */
  #score(
    plan: number,
    side: Side,
    tiles: number,
    n: number,
    out: number,
    sum: (codes: Uint8Array, part: number) => number,
  ): void {
    const view = this.#plan(plan);
    for (const [p, { factor }] of view.parts.entries())
      this.#tokens(view, side, tiles, n, p).forEach(({ codes, half }, t) => {
        const score = fround(sum(codes, p) * half);
        const at = (out >>> 2) + t;
        this.arena.f32[at] = factor === undefined ? score : this.arena.f32[at]! + fround(factor * score);
      });
  }

  /** Codes and halves of one part of all tokens of some tiles. */
  #tokens(
    view: TilePlan,
    side: Side,
    tiles: number,
    n: number,
    p: number,
  ): { codes: Uint8Array; half: number }[] {
    const { bits, n: count, at, half } = view.parts[p]!;
    const vector = new Uint8Array(view.stride);
    return Array.from({ length: n * TILE_TOKENS }, (_, t) => {
      const tile = this.arena.u32[(tiles >>> 2) + Math.floor(t / TILE_TOKENS)]!;
      takeFromTile(view, side, this.arena.bytes(tile, TILE_TOKENS * view.stride), t % TILE_TOKENS, vector);
      const codes = new Uint8Array(count);
      unpackCodes(vector.subarray(at, at + packedBytes(count, bits)), bits, codes);
      return { codes, half: fromF16(vector[half]! | (vector[half + 1]! << 8)) };
    });
  }

  /** Reads what is needed of the record of plan.ts. */
  #plan(plan: number): TilePlan {
    const { u32, f32 } = this.arena;
    const word = plan >>> 2;
    const [dim, bits, stride, codesAt, signsAt, sketchRows] = [0, 2, 4, 5, 6, 7].map(
      (i) => u32[word + i]!,
    ) as [number, number, number, number, number, number];
    const levels = this.arena.floats(u32[word + 16]!, 1 << bits);
    const codes: Part = { bits, n: dim, levels, at: codesAt, half: 0, factor: undefined };
    const signs: Part = {
      bits: 1,
      n: sketchRows,
      levels: SIGN_LEVELS,
      at: signsAt,
      half: 2,
      factor: f32[word + 11]!,
    };
    return {
      dim,
      bits,
      stride,
      codesAt,
      signsAt,
      sketchRows,
      parts: sketchRows > 0 ? [codes, signs] : [codes],
    };
  }
}
