/**
 * One row of attention over all its tiles in one call: scores by lookup, online softmax, weighted sums, 128 tokens at a
 * time. What it does is what the single kernels do one after the other, so its bits are theirs.
 */
import { weighTile } from "../softmax";
import { strideOf } from "../plan";
import { accumulateIntegers } from "./accumulate-integers";
import { scoreTables16, scoreTables8 } from "./score-tables";

/** Tokens that share one update of the running maximum, and their tiles. */
const TOKENS: usize = 128;
const TILES: usize = 8;
/** Bytes of keys and values from which on lines are asked for ahead of their use: no cache holds so many. */
const STREAM: usize = 16 << 20;

/** Asks for the lines of some tiles: a load of each, none of which waits for another. */
function touch(tiles: usize, n: usize, bytes: usize, out: usize): void {
  let all: u32 = 0;
  for (const end = tiles + n * 4; tiles < end; tiles += 4) {
    const tile = <usize>load<u32>(tiles);
    for (let at: usize = 0; at < bytes; at += 64) all |= load<u32>(tile + at);
  }
  store<u32>(out, all);
}

/** n values at `sums` times a factor. n: a multiple of 4. */
@inline
function shrink(sums: usize, n: usize, factor: f32): void {
  const f = f32x4.splat(factor);
  for (const end = sums + n * 4; sums < end; sums += 16) v128.store(sums, f32x4.mul(v128.load(sums), f));
}

/** Tiles of one side in pages: pointers to n of them, from tile `first` of a list of pages on. */
function listTiles(pages: usize, pageTiles: usize, offset: usize, bytes: usize, first: usize, n: usize, list: usize): void {
  let page = pages + (first / pageTiles) * 4;
  let tile = first % pageTiles;
  for (const end = list + n * 4; list < end; list += 4) {
    store<u32>(list, <u32>(<usize>load<u32>(page) + offset + tile * bytes));
    if (++tile < pageTiles) continue;
    tile = 0;
    page += 4;
  }
}

/**
 * entryBytes: of tables, 1 or 2; pages: pointers to pages of pageTiles tiles each, keys and values of the head at
 * keyOffset and valueOffset of a page; state: of weighTile; sums: (sumFloats,); work: 64 + 512 bytes, then those of
 * accumulateIntegers.
 */
export function attendTiles(
  keyPlan: usize,
  entryBytes: i32,
  tables: usize,
  valuePlan: usize,
  levelBytes: i32,
  pages: usize,
  pageTiles: usize,
  keyOffset: usize,
  valueOffset: usize,
  tokens: usize,
  state: usize,
  sums: usize,
  sumFloats: usize,
  work: usize,
): void {
  const keyBytes = strideOf(keyPlan) * 16;
  const valueBytes = strideOf(valuePlan) * 16;
  const streams = (strideOf(keyPlan) + strideOf(valuePlan)) * tokens > STREAM;
  const keys = work;
  const values = work + TILES * 4;
  const scores = work + TILES * 8;
  const rest = scores + TOKENS * 4;
  for (let t: usize = 0; t < tokens; t += TOKENS) {
    const count = min<usize>(TOKENS, tokens - t);
    const n = (count + 15) >> 4;
    listTiles(pages, pageTiles, keyOffset, keyBytes, t >> 4, n, keys);
    listTiles(pages, pageTiles, valueOffset, valueBytes, t >> 4, n, values);
    if (streams) {
      touch(keys, n, keyBytes, rest);
      touch(values, n, valueBytes, rest);
    }
    if (entryBytes == 1) scoreTables8(keyPlan, tables, keys, n, scores);
    else scoreTables16(keyPlan, tables, keys, n, scores);
    weighTile(scores, count, state);
    const factor = load<f32>(state, 8);
    if (factor != 1) shrink(sums, sumFloats, factor);
    for (let at = count * 4; at < n * 64; at += 4) store<f32>(scores + at, 0);
    accumulateIntegers(valuePlan, levelBytes, scores, n * 64, 1, values, n, sums, sumFloats * 4, rest);
  }
}
