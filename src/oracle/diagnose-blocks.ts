/** Diagnosis of packed blocks: every way to quantise with every way to pack, and what of the blocks they reproduce. */
import { packings, writeBlock } from "./block-packings.js";
import { type BlockModel, type Codes, type Quant, quantFaults, quantizeBlock } from "./blocks.js";
import { type Fault, pairId, ranked } from "./verdict.js";

export function diagnoseBlocks(m: BlockModel, x: Float32Array, _dim: number, packed: Uint8Array): Fault[] {
  const count = x.length / m.size;
  const quants: Quant[] = [{ note: "" }, ...quantFaults(m)];
  const layouts = packings(m);
  const step = Math.max(1, Math.floor(count / 400));
  const out: Fault[] = [];
  const scratch = new Uint8Array(m.bytes);
  for (const q of quants) {
    const made: { at: number; codes: Codes }[] = [];
    for (let k = 0; k < count; k += step) made.push({ at: k, codes: quantizeBlock(m, x, k * m.size, q) });
    for (const p of layouts)
      for (const truncate of m.scaleBytes === 2 ? [false, true] : [false]) {
        const ids = [q.id, p.id, truncate ? "norm-f16-truncated" : ""].filter((id): id is string => !!id);
        if (ids.length === 0 || ids.length > 2) continue;
        let same = 0;
        for (const [i, { at, codes }] of made.entries()) {
          scratch.fill(0);
          writeBlock(m, codes, p, truncate, scratch, 0);
          let equal = true;
          for (let b = 0; b < m.bytes && equal; b++) equal = scratch[b] === packed[at * m.bytes + b];
          if (equal) same++;
          else if (i > 12 && same === 0) break;
        }
        if (same > 0)
          out.push({
            id: pairId(ids),
            explains: same / made.length,
            evidence: `${same} of ${made.length} blocks: ${[q.note, p.note, truncate ? "halves cut toward zero" : ""].filter((n) => n).join("; ")}`,
          });
      }
  }
  return ranked(out);
}
