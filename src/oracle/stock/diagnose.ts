/** Diagnosis of packed blocks: every way to quantise with every way to pack, and what of the blocks they reproduce. */

import { exactFirst, type Fault, pairId, ranked } from "../verdict.js";
import { type BlockModel, type Codes, type Quant, quantizeBlock } from "./blocks.js";
import { blockEncoders, blockSample, reproduced } from "./encoders.js";
import { writeBlock } from "./packings.js";

export function diagnoseBlocks(m: BlockModel, x: Float32Array, packed: Uint8Array): Fault[] {
  const sample = blockSample(m, x);
  const { blocks } = sample;
  const made = new Map<Quant, (Codes | undefined)[]>();
  const scratch = new Uint8Array(m.bytes);
  const out: Fault[] = [];
  for (const e of blockEncoders(m)) {
    let codes = made.get(e.quant);
    if (!codes) made.set(e.quant, (codes = new Array<Codes | undefined>(blocks.length)));
    const reproduces = (i: number): boolean => {
      const block = (codes[i] ??= quantizeBlock(m, x, blocks[i]! * m.size, e.quant));
      scratch.fill(0);
      writeBlock(m, block, e.packing, e.truncate, scratch, 0);
      const at = blocks[i]! * m.bytes;
      for (let b = 0; b < m.bytes; b++) if (scratch[b] !== packed[at + b]) return false;
      return true;
    };
    const same = e.ids.length > 0 ? reproduced(sample, reproduces) : 0;
    if (same === 0) continue;
    out.push({
      id: pairId(e.ids),
      explains: same / blocks.length,
      evidence: `${same} of ${blocks.length} blocks: ${e.note}`,
    });
  }
  return ranked(exactFirst(out));
}
