/**
 * Rivals that are only simulated, so that they can stand beside our caches at equal bytes: round trips in f64 and f32, no
 * packed form, no kernel. Their bits per value are those that their authors' layouts would store.
 *
 *   simulated/q4_0-wht     ggml's q4_0 after a signed Walsh–Hadamard transform of the head, as llama.cpp rotates its cache
 *   simulated/kvarn-kNvM   KVarN (arXiv 2606.03458), N bits for keys and M for values, tiles of 128 tokens that are full
 */
import { fromF16, toF16 } from "../core/float.js";
import { seededRotation } from "../core/seeded-rotation.js";
import { rotate, unrotate, wht } from "../core/wht.js";
import type { Side } from "../formats/format.js";
import { findFormat } from "../formats/registry.js";
import type { RoundTrip } from "./simulated-kv.js";

export interface Simulation {
  readonly name: string;
  trip(side: Side, dim: number, seed: number): RoundTrip;
  /** Bits that a value of this side takes. */
  bits(side: Side, dim: number): number;
}

const rotatedQ4: Simulation = {
  name: "simulated/q4_0-wht",
  bits: () => 4.5,
  trip(_side, dim, seed) {
    const rotation = seededRotation(dim, seed);
    const codec = findFormat("ggml/q4_0").open({ dim });
    return (rows) => {
      const bytes = new Uint8Array((rows.length / dim) * codec.bytesPerVector);
      const each = (turn: (row: Float32Array) => void): void => {
        for (let at = 0; at < rows.length; at += dim) turn(rows.subarray(at, at + dim));
      };
      each((row) => rotate(rotation, row));
      codec.encode(rows, bytes);
      codec.decode(bytes, rows);
      each((row) => unrotate(rotation, row));
    };
  },
};

const TILE = 128;
const PASSES = 16;
const LEAST_LOG = -0.3;
const MOST_LOG = 10;

/** A tile as (rows, columns), with the logarithms of what its rows and columns are divided by. */
class Balanced {
  readonly row: Float64Array;
  readonly column: Float64Array;

  constructor(
    readonly tile: Float32Array,
    rows: number,
    columns: number,
  ) {
    this.row = new Float64Array(rows);
    this.column = new Float64Array(columns);
    const kept = { row: this.row.slice(), column: this.column.slice(), spread: Number.POSITIVE_INFINITY };
    for (let pass = 0; pass <= PASSES; pass++) {
      const spread =
        Math.max(...this.deviations("row"), ...this.deviations("column")) /
        Math.min(...this.deviations("row"), ...this.deviations("column"));
      if (spread < kept.spread)
        Object.assign(kept, { row: this.row.slice(), column: this.column.slice(), spread });
      for (const side of ["column", "row"] as const)
        this.deviations(side).forEach((deviation, i) => {
          this[side][i] = Math.min(
            MOST_LOG,
            Math.max(LEAST_LOG, this[side][i]! + Math.log(Math.max(deviation, 1e-8))),
          );
        });
    }
    this.row.set(kept.row);
    this.column.set(kept.column);
  }

  at(i: number, j: number): number {
    return this.tile[i * this.column.length + j]! / Math.exp(this.row[i]! + this.column[j]!);
  }

  /** Sample standard deviation of every row, or column. */
  deviations(side: "row" | "column"): Float64Array {
    const [outer, inner] = side === "row" ? [this.row, this.column] : [this.column, this.row];
    return outer.map((_, i) => {
      let sum = 0;
      let squares = 0;
      for (let j = 0; j < inner.length; j++) {
        const x = side === "row" ? this.at(i, j) : this.at(j, i);
        sum += x;
        squares += x * x;
      }
      const n = inner.length;
      return Math.sqrt(Math.max(0, squares - (sum * sum) / n) / (n - 1));
    });
  }
}

const half = (x: number): number => fromF16(toF16(x));

/**
 * Asymmetric rounding to nearest of each channel over the tokens (keys), or each token over the channels (values); the
 * scale of that direction is merged into the scale of the rounding.
 */
function roundTile(tile: Float32Array, dim: number, bits: number, side: Side): void {
  const tokens = tile.length / dim;
  const balanced = new Balanced(tile, tokens, dim);
  const [groups, members] = side === "key" ? [dim, tokens] : [tokens, dim];
  const cell = (g: number, m: number): readonly [number, number] => (side === "key" ? [m, g] : [g, m]);
  for (let g = 0; g < groups; g++) {
    const merged = Math.exp(side === "key" ? balanced.column[g]! : balanced.row[g]!);
    const other = (m: number): number =>
      half(Math.exp(side === "key" ? balanced.row[m]! : balanced.column[m]!));
    const values = Array.from({ length: members }, (_, m) => balanced.at(...cell(g, m)) * merged);
    const least = Math.min(...values);
    const step = half((Math.max(...values) - least) / (2 ** bits - 1));
    const zero = half(least);
    values.forEach((value, m) => {
      const code = step > 0 ? Math.min(2 ** bits - 1, Math.max(0, Math.round((value - zero) / step))) : 0;
      const [i, j] = cell(g, m);
      tile[i * dim + j] = (code * step + zero) * other(m);
    });
  }
}

function kvarn(keyBits: number, valueBits: number): Simulation {
  const bitsOf = (side: Side): number => (side === "key" ? keyBits : valueBits);
  return {
    name: `simulated/kvarn-k${keyBits}v${valueBits}`,
    /** Rounding: scale and zero of each channel or token; scales of the other direction. All halves. */
    bits: (side, dim) =>
      bitsOf(side) +
      (side === "key" ? (32 * dim + 16 * TILE) / (TILE * dim) : (32 * TILE + 16 * dim) / (TILE * dim)),
    trip(side, dim) {
      const unit = Math.fround(1 / Math.sqrt(dim));
      return (rows) => {
        wht(rows, dim);
        for (let i = 0; i < rows.length; i++) rows[i]! *= unit;
        for (let at = 0; at < rows.length; at += TILE * dim)
          roundTile(rows.subarray(at, at + TILE * dim), dim, bitsOf(side), side);
        wht(rows, dim);
        for (let i = 0; i < rows.length; i++) rows[i]! *= unit;
      };
    },
  };
}

export const SIMULATIONS: readonly Simulation[] = [
  rotatedQ4,
  ...[
    [4, 4],
    [3, 3],
    [4, 2],
    [2, 2],
  ].map(([k, v]) => kvarn(k!, v!)),
];
