/** The contract of the kernels over tiles: WASM and reference leave the same bits, for any bytes and any query. */
import { describe, expect, test } from "vitest";
import { type LevelBytes, sumFloats } from "../../src/kernels/integers.js";
import type { Kernels } from "../../src/kernels/kernels.js";
import { vectorLayout } from "../../src/kernels/plan.js";
import { tableBytes } from "../../src/kernels/tables.js";
import { sumWorkBytes } from "../../src/kernels/tile-kernels.js";
import { compareBytes, compareFloats, type Difference, run } from "./compare.js";
import { packedRows, plainVectors, randomBytes, trickyVectors } from "./inputs.js";
import { bothWith, type Setup, setupOf } from "./suite.js";

const TILES = 3;
const SIDES = ["Keys", "Values"] as const;

interface Shape {
  readonly dim: number;
  readonly bits: number;
  readonly rows: number;
  readonly stride: number;
}
const shapeOf = ({ q, sketch }: Setup): Shape => {
  const rows = sketch?.rows ?? 0;
  return {
    dim: q.dim,
    bits: q.codebook.bits,
    rows,
    stride: vectorLayout(q.dim, q.codebook.bits, rows).stride,
  };
};
const layoutOf = ({ q, sketch }: Setup) => vectorLayout(q.dim, q.codebook.bits, sketch?.rows ?? 0);

/** Rows of bytes as tiles in the backend's memory, and the list of them; `use` may not keep either. */
function withTiles<T>(
  k: Kernels,
  plan: number,
  side: (typeof SIDES)[number],
  bytes: Uint8Array,
  stride: number,
  use: (list: number, n: number) => T,
): T {
  const n = bytes.length / (16 * stride);
  const rows = k.arena.allocate(bytes.length);
  const tiles = k.arena.allocate(bytes.length);
  const list = k.arena.allocate(4 * n);
  k.arena.u8.set(bytes, rows);
  for (let i = 0; i < n; i++) {
    k[`tile${side}`](plan, rows + 16 * i * stride, stride, 0, 16, tiles + 16 * i * stride);
    k.arena.u32[(list >>> 2) + i] = tiles + 16 * i * stride;
  }
  const result = use(list, n);
  for (const pointer of [rows, tiles, list]) k.arena.release(pointer);
  return result;
}

/** Rows → tile → rows on both backends: bytes of the tile and the way back, for whole tiles and parts of one. */
function checkTile(setup: Setup, side: (typeof SIDES)[number], seed: number): Difference {
  const { stride } = shapeOf(setup);
  const first = seed % 3 === 0 ? 0 : seed % 16;
  const count = seed % 3 === 0 ? 16 : 1 + (seed % (16 - first));
  const step = stride + (seed % 2) * 3;
  const rows = randomBytes(step * 16, seed);
  const inTile = (k: Kernels, plan: number): Uint8Array =>
    run(k, [rows], 16 * stride, ([at], tile) => k[`tile${side}`](plan, at!, step, first, count, tile));
  const tiled = bothWith(setup, inTile, compareBytes);
  if (tiled.count > 0) return tiled;
  const tile = randomBytes(16 * stride, seed + 1);
  const back = (k: Kernels, plan: number): Uint8Array =>
    run(k, [tile], 16 * step, ([at], out) => k[`untile${side}`](plan, at!, first, count, out, step), {
      odd: true,
    });
  return bothWith(setup, back, compareBytes);
}

function checkRoundTrip(setup: Setup, side: (typeof SIDES)[number], seed: number): Difference {
  const { stride } = shapeOf(setup);
  const rows = randomBytes(stride * 16, seed);
  const there = (k: Kernels, plan: number): Uint8Array => {
    const guard = run(k, [rows], 16 * stride, ([at], out) => {
      const tile = k.arena.allocate(16 * stride);
      for (let t = 0; t < 16; ) {
        const count = Math.min(16 - t, 1 + (seed % 16));
        k[`tile${side}`](plan, at! + t * stride, stride, t, count, tile);
        t += count;
      }
      k[`untile${side}`](plan, tile, 0, 16, out, stride);
      k.arena.release(tile);
    });
    return guard.slice(64, 64 + rows.length);
  };
  return bothWith(setup, there, (a, b) => {
    const first = compareBytes(rows, a);
    return first.count > 0 ? first : compareBytes(rows, b);
  });
}

function queryOf({ dim, rows }: Shape, count: number, seed: number): [Float32Array, Float32Array] {
  const make = seed % 3 === 0 ? trickyVectors : plainVectors;
  return [make(count, dim, seed), make(count, Math.max(rows, 4), seed + 1)];
}

function checkTables(setup: Setup, entryBytes: 1 | 2, seed: number): Difference {
  const shape = shapeOf(setup);
  const inputs = queryOf(shape, 1, seed);
  const size =
    tableBytes(shape.dim, shape.bits, entryBytes) +
    (shape.rows > 0 ? tableBytes(shape.rows, 1, entryBytes) : 0);
  const width = entryBytes === 1 ? 8 : 16;
  // The last word of a header, and what a list of coordinates has room for, are nobody's.
  const blank = new Float32Array(size / 4);
  const tables = (k: Kernels, plan: number): Uint8Array =>
    run(k, inputs, size, ([a, s], out) => k[`prepareTables${width}`](plan, a!, s!, out), { initial: blank });
  const prepared = bothWith(setup, tables, compareFloats);
  if (prepared.count > 0) return prepared;
  const bytes = packedRows(16 * TILES, layoutOf(setup), seed, seed % 4 === 0);
  const scores = (k: Kernels, plan: number): Uint8Array =>
    withTiles(k, plan, "Keys", bytes, shape.stride, (list, n) =>
      run(k, inputs, 64 * n, ([a, s], out) => {
        const at = k.arena.allocate(size + 64);
        k[`prepareTables${width}`](plan, a!, s!, at);
        k[`scoreTables${width}`](plan, at, list, n, out);
        k.arena.release(at);
      }),
    );
  return bothWith(setup, scores, compareFloats);
}

function checkIntegers(setup: Setup, rows: number, seed: number): Difference {
  const shape = shapeOf(setup);
  const inputs = queryOf(shape, rows, seed);
  const stride = 16 + 2 * shape.dim + (shape.rows > 0 ? 16 + 2 * shape.rows : 0);
  const bytes = packedRows(16 * TILES, layoutOf(setup), seed, seed % 4 === 0);
  const outStride = 64 * TILES + 16;
  const scores = (k: Kernels, plan: number): Uint8Array =>
    withTiles(k, plan, "Keys", bytes, shape.stride, (list, n) =>
      run(k, inputs, outStride * rows, ([a, s], out) => {
        const at = k.arena.allocate(stride * rows);
        const work = k.arena.allocate(32 * shape.dim);
        for (let r = 0; r < rows; r++)
          k.prepareIntegers(
            plan,
            a! + 4 * r * shape.dim,
            s! + 4 * r * Math.max(shape.rows, 4),
            at + r * stride,
          );
        k.scoreIntegers(plan, at, stride, rows, list, n, out, outStride, work);
        k.arena.release(at);
        k.arena.release(work);
      }),
    );
  return bothWith(setup, scores, compareFloats);
}

function checkAccumulate(
  setup: Setup,
  levelBytes: LevelBytes,
  rows: number,
  tiles: number,
  seed: number,
): Difference {
  const shape = shapeOf(setup);
  const floats = sumFloats(shape.bits, shape.dim) + (shape.rows > 0 ? sumFloats(1, shape.rows) : 0);
  const bytes = packedRows(16 * tiles, layoutOf(setup), seed, seed % 5 === 0);
  const weights = weightsOf(rows * tiles * 16, seed);
  const initial = plainVectors(1, floats, seed + 3);
  const width = shape.dim + shape.rows;
  const sums = (k: Kernels, plan: number): Uint8Array =>
    withTiles(k, plan, "Values", bytes, shape.stride, (list, n) =>
      run(k, [weights], 4 * width * rows, ([w], out) => {
        const acc = k.arena.allocate(4 * floats * rows);
        const work = k.arena.allocate(sumWorkBytes(rows));
        for (let r = 0; r < rows; r++) k.arena.f32.set(initial, (acc >>> 2) + r * floats);
        k.accumulateIntegers(plan, levelBytes, w!, 64 * n, rows, list, n, acc, 4 * floats, work);
        for (let r = 0; r < rows; r++) k.gatherSums(plan, acc + 4 * r * floats, out + 4 * r * width);
        k.arena.release(acc);
        k.arena.release(work);
      }),
    );
  return bothWith(setup, sums, compareFloats);
}

/** Softmax weights as they come, with zeros; tiny, huge and broken ones. */
function weightsOf(n: number, seed: number): Float32Array {
  if (seed % 7 === 0) return trickyVectors(1, n, seed);
  const scale = [1, 1e-30, 1e-36, 1e30, 0][seed % 5]!;
  return plainVectors(1, n, seed).map((x, i) => (i % 5 === seed % 5 ? 0 : Math.exp(2 * x) * scale));
}

const none = { count: 0, first: "" };

export function tileContract(dim: number, rounds: number): void {
  describe(`tiles, d = ${dim}`, () => {
    for (const bits of [1, 2, 3, 4])
      for (const sketched of [false, true]) {
        if (sketched && bits === 1) continue;
        const setup = setupOf(dim, bits, "unbiased", { sketched });
        test(`${bits} bits${sketched ? " and a sketch" : ""}`, () => {
          for (let seed = 0; seed < rounds; seed++) {
            for (const side of SIDES) {
              expect(checkTile(setup, side, seed), `tile${side} ${seed}`).toEqual(none);
              expect(checkRoundTrip(setup, side, seed), `there and back ${side} ${seed}`).toEqual(none);
            }
            expect(checkTables(setup, 1, seed), `tables of bytes ${seed}`).toEqual(none);
            expect(checkTables(setup, 2, seed), `tables of words ${seed}`).toEqual(none);
            expect(checkIntegers(setup, 1 + (seed % 5), seed), `integers ${seed}`).toEqual(none);
            for (const levelBytes of [1, 2] as const) {
              const sums = checkAccumulate(setup, levelBytes, 1 + (seed % 3), 1 + (seed % 8), seed);
              expect(sums, `sums by ${levelBytes} ${seed}`).toEqual(none);
            }
          }
        });
      }
  });
}
