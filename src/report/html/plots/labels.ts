/** Where text goes so that it covers neither other text nor marks. */
import { FONT, textWidth } from "./chart.js";

export interface Mark {
  /** Pixels. */
  readonly x: number;
  readonly y: number;
  readonly text: string;
}

export interface Placed extends Mark {
  readonly anchor: "start" | "end" | "middle";
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

const overlap = (a: Box, b: Box): boolean =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
const around = (x: number, y: number, r: number): Box => ({
  left: x - r,
  right: x + r,
  top: y - r,
  bottom: y + r,
});

const SIZE = 11;
const GAP = 7;

/**
 * Labels beside their marks, first come first served: right, left, above, below, or none at all.
 * taken: boxes that must stay free besides.
 */
export function placeLabels(marks: readonly Mark[], bounds: Box, obstacles: readonly Mark[] = []): Placed[] {
  const taken: Box[] = [...marks, ...obstacles].map(({ x, y }) => around(x, y, 4));
  const placed: Placed[] = [];
  for (const mark of marks) {
    const w = textWidth(mark.text, SIZE);
    const tries: Placed[] = [
      { ...mark, x: mark.x + GAP, anchor: "start" },
      { ...mark, x: mark.x - GAP, anchor: "end" },
      { ...mark, y: mark.y - 11, anchor: "middle" },
      { ...mark, y: mark.y + 11, anchor: "middle" },
    ];
    for (const at of tries) {
      const left = at.anchor === "start" ? at.x : at.anchor === "end" ? at.x - w : at.x - w / 2;
      const box = { left, right: left + w, top: at.y - 6, bottom: at.y + 6 };
      const inside =
        box.left >= bounds.left &&
        box.right <= bounds.right &&
        box.top >= bounds.top &&
        box.bottom <= bounds.bottom;
      if (!inside || taken.some((other) => overlap(other, box))) continue;
      taken.push(box);
      placed.push(at);
      break;
    }
  }
  return placed;
}

/** y of labels at the ends of lines, in the lines' order, pushed apart to a line's height and kept within bounds. */
export function spread(ys: readonly number[], top: number, bottom: number, step = FONT + 3): number[] {
  const order = ys.map((_, i) => i).sort((a, b) => ys[a]! - ys[b]!);
  const out = ys.slice();
  let floor = top;
  for (const i of order) floor = (out[i] = Math.max(out[i]!, floor)) + step;
  let ceiling = bottom;
  for (const i of order.reverse()) ceiling = (out[i] = Math.min(out[i]!, ceiling)) - step;
  return out;
}
