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
@inline
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

/**
 * entryBytes: of tables, 1 or 2; keys, values: pointers to tiles; state: of weighTile; sums: (sumFloats,); work: 512 bytes,
 * then those of accumulateIntegers.
 */
export function attendTiles(
  keyPlan: usize,
  entryBytes: i32,
  tables: usize,
  keys: usize,
  valuePlan: usize,
  levelBytes: i32,
  values: usize,
  tokens: usize,
  state: usize,
  sums: usize,
  sumFloats: usize,
  work: usize,
): void {
  const keyBytes = strideOf(keyPlan) * 16;
  const valueBytes = strideOf(valuePlan) * 16;
  const streams = (strideOf(keyPlan) + strideOf(valuePlan)) * tokens > STREAM;
  for (let t: usize = 0; t < tokens; t += TOKENS, keys += TILES * 4, values += TILES * 4) {
    const count = min<usize>(TOKENS, tokens - t);
    const n = (count + 15) >> 4;
    if (streams) {
      touch(keys, n, keyBytes, work);
      touch(values, n, valueBytes, work);
    }
    if (entryBytes == 1) scoreTables8(keyPlan, tables, keys, n, work);
    else scoreTables16(keyPlan, tables, keys, n, work);
    weighTile(work, count, state);
    const factor = load<f32>(state, 8);
    if (factor != 1) shrink(sums, sumFloats, factor);
    for (let at = count * 4; at < n * 64; at += 4) store<f32>(work + at, 0);
    accumulateIntegers(valuePlan, levelBytes, work, n * 64, 1, values, n, sums, sumFloats * 4, work + TOKENS * 4);
  }
}
