/** Short names for what reads find in a cache, so that lives that come to the same are tried once. */
import type { LayerPages, Page, State } from "./model.js";

/** Of what lies in a layer's part of a page, up to a slot. */
function digestOf(page: Page, from: number, to: number): number {
  const known = page.digest;
  if (known && known.from === from && known.to === to) return known.value;
  let value = 0x811c9dc5;
  for (let i = from; i < to; i++) {
    value = Math.imul(value ^ page.slots[i]!, 0x01000193);
    value ^= value >>> 15;
  }
  page.digest = { from, to, value };
  return value;
}

/** Of all that a layer's pages hold. */
function digestOfLayer(layer: LayerPages, pageSize: number): number {
  if (layer.digest !== undefined) return layer.digest;
  const { pages, offset, length } = layer;
  let value = Math.imul(pages.length ^ 0x811c9dc5, 0x01000193) ^ length;
  for (let i = 0; i < pages.length && i * pageSize < length; i++) {
    const tokens = Math.min(pageSize, length - i * pageSize);
    value = Math.imul(value ^ digestOf(pages[i]!, offset, offset + tokens), 0x01000193);
    value ^= value >>> 15;
  }
  layer.digest = value;
  return value;
}

/** A digest of what all reads find. */
export function markOf(states: readonly State[], pageSize: number): string {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  const add = (n: number): void => {
    a = Math.imul(a ^ n, 0x01000193);
    b = Math.imul(b + n, 0x85ebca6b) ^ (b >>> 13);
  };
  for (const { own, count, layers } of states) {
    add(own);
    add(count);
    for (const layer of layers) add(digestOfLayer(layer, pageSize));
  }
  return `${a} ${b}`;
}
