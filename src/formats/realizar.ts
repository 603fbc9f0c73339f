/** realizar's two block formats (realizar-blocks) as formats of vectors: 36 and 20 bytes per 32 values. */
import { MAX_DIM } from "../core/wht.js";
import { type Block, blockFormat } from "./block-codec.js";
import type { Format } from "./format.js";
import { REALIZAR_BLOCK_VALUES, realizarQ4, realizarQ8 } from "./realizar-blocks.js";

const realizar = (name: string, block: Block): Format =>
  blockFormat(
    {
      name: `realizar/${name}`,
      family: "realizar",
      dims: `multiples of ${REALIZAR_BLOCK_VALUES}`,
      supports: (dim) =>
        Number.isInteger(dim) && dim >= 1 && dim <= MAX_DIM && dim % REALIZAR_BLOCK_VALUES === 0,
      rotated: false,
      verified: "every scale, code and decoded value, against blocks recorded from the Rust code",
      source: "paiml/realizar 0.8.6, src/paged_kv",
    },
    () => block,
  );

export const realizarFormats: readonly Format[] = [realizar("q8", realizarQ8), realizar("q4", realizarQ4)];
