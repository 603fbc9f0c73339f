/**
 * y = x Wt: x (tokens, k) f32, W (rows, k) packed, y (tokens, rows) f32.
 *
 * A panel of PANEL weight rows is dequantised to f32 once and meets every token, so the cost of unpacking is shared
 * by the tokens of a block. Inside, tiles of 4 rows x 2 tokens keep eight accumulators in registers: per four
 * columns 6 loads, 8 multiplications, 8 additions. The lanes run along k and are joined at the end.
 */
import { dequantise } from "./dequantise";
import { dot, dots4x1, dots4x2 } from "./dots";

/** Rows of a panel: 16 x 576 x 4 bytes = 36 KB, the first-level cache of this class of machine. */
const PANEL: i32 = 16;

/** Bytes of scratch a thread needs for rows of k values. */
export function matmulScratch(k: i32): usize {
  return <usize>(PANEL * k) << 2;
}

/** rowBytes: from one row of W to the next; yStride: floats from one token of y to the next. */
export function matmul(
  begin: i32,
  end: i32,
  type: i32,
  w: usize,
  rowBytes: usize,
  k: i32,
  x: usize,
  tokens: i32,
  y: usize,
  yStride: i32,
  scratch: usize,
): void {
  const kBytes = <usize>k << 2;
  const yBytes = <usize>yStride << 2;
  for (let row = begin; row < end; row += PANEL) {
    const rows = min(PANEL, end - row);
    for (let r = 0; r < rows; r++) dequantise(type, w + <usize>(row + r) * rowBytes, scratch + <usize>r * kBytes, k);
    let t = 0;
    let xt = x;
    let yt = y + (<usize>row << 2);
    for (; t + 2 <= tokens; t += 2) {
      let r = 0;
      for (; r + 4 <= rows; r += 4)
        dots4x2(scratch + <usize>r * kBytes, xt, kBytes, kBytes, kBytes, yt + (<usize>r << 2), yBytes);
      for (; r < rows; r++) {
        store<f32>(yt + (<usize>r << 2), dot(scratch + <usize>r * kBytes, xt, kBytes));
        store<f32>(yt + yBytes + (<usize>r << 2), dot(scratch + <usize>r * kBytes, xt + kBytes, kBytes));
      }
      xt += kBytes << 1;
      yt += yBytes << 1;
    }
    if (t < tokens) {
      let r = 0;
      for (; r + 4 <= rows; r += 4) dots4x1(scratch + <usize>r * kBytes, xt, kBytes, kBytes, yt + (<usize>r << 2));
      for (; r < rows; r++) store<f32>(yt + (<usize>r << 2), dot(scratch + <usize>r * kBytes, xt, kBytes));
    }
  }
}
