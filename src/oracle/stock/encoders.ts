/** How a stock block may have been written: quantiser, packing and rounding of the scale, each right or wrong; two wrong at most. */

import { type BlockModel, type Quant, quantFaults } from "./blocks.js";
import { packings } from "./packings.js";

export type BlockPacking = ReturnType<typeof packings>[number];

export interface BlockEncoder {
  /** None, one or two faults. */
  readonly ids: readonly string[];
  readonly note: string;
  readonly quant: Quant;
  readonly packing: BlockPacking;
  /** Halves are cut toward zero. */
  readonly truncate: boolean;
}

/** The right quantiser first, then each wrong one, then two wrongs in one where they replace different parts. */
export function quants(m: BlockModel): { readonly ids: readonly string[]; readonly quant: Quant }[] {
  const single = quantFaults(m);
  const out: { ids: readonly string[]; quant: Quant }[] = [
    { ids: [], quant: { note: "" } },
    ...single.map((quant) => ({ ids: [quant.id!], quant })),
  ];
  const roundings = single.filter((q) => q.rounding);
  const scales = single.filter((q) => q.divisor !== undefined || q.unsignedMax !== undefined);
  const rounded = single.filter((q) => q.roundedScale);
  for (const [some, others] of [
    [roundings, scales],
    [roundings, rounded],
    [rounded, scales],
  ] as const)
    for (const a of some)
      for (const b of others)
        out.push({ ids: [a.id!, b.id!], quant: { ...b, ...a, note: `${a.note}; ${b.note}` } });
  return out;
}

/** Every encoder with at most two faults, the fewest first. */
export function blockEncoders(m: BlockModel): BlockEncoder[] {
  const all: BlockEncoder[] = [];
  for (const { ids, quant } of quants(m))
    for (const packing of packings(m))
      for (const truncate of m.scaleBytes === 2 ? [false, true] : [false]) {
        const faults = [...ids, packing.id, truncate ? "norm-f16-truncated" : ""].filter((id) => id);
        if (faults.length > 2) continue;
        const notes = [quant.note, packing.note, truncate ? "halves cut toward zero" : ""];
        all.push({ ids: faults, note: notes.filter((n) => n).join("; "), quant, packing, truncate });
      }
  return all.sort((a, b) => a.ids.length - b.ids.length);
}

/** Blocks on which hypotheses are judged, and those among them on which most hypotheses end. */
export interface BlockSample {
  readonly blocks: readonly number[];
  /** Places in `blocks`, the fewest needed first. */
  readonly few: readonly number[];
}

const MOST = 400;
const FEW = 16;

/** x: whole blocks. Spread over all of them; the few are of many different magnitudes. */
export function blockSample(m: BlockModel, x: Float32Array): BlockSample {
  const count = x.length / m.size;
  const step = Math.max(1, Math.floor(count / MOST));
  const blocks: number[] = [];
  for (let k = 0; k < count; k += step) blocks.push(k);
  const varied = blocks.map((k, i) => {
    const part = x.subarray(k * m.size, (k + 1) * m.size);
    return { i, kinds: new Set(part.map(Math.abs)).size, finite: part.every(Number.isFinite) };
  });
  const telling = varied.filter((b) => b.finite && b.kinds > m.size / 2);
  const from = telling.length > 0 ? telling : varied;
  const stride = Math.max(1, Math.floor(from.length / FEW));
  return { blocks, few: from.filter((_, i) => i % stride === 0).map((b) => b.i) };
}

/** How many blocks a hypothesis reproduces; 0 where the few, or the first of them all, say that it is none. */
export function reproduced({ blocks, few }: BlockSample, holds: (i: number) => boolean): number {
  if (!few.some(holds)) return 0;
  let same = 0;
  for (let i = 0; i < blocks.length; i++) {
    if (holds(i)) same++;
    if (i === 99 && same < 15) return 0;
  }
  return same;
}
