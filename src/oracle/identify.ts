/** Which wire format, current or historic, are these bytes? */
import { FormatError } from "../core/format-error.js";
import type { Side } from "../formats/format.js";
import { allFormats } from "../formats/registry.js";
import { HEAD_DIMS } from "./cases.js";
import { referenceBytes } from "./compare-packed.js";

/** A wire format that given bytes may be of. */
export interface Candidate {
  readonly format: string;
  readonly side: Side;
  readonly dim: number;
  readonly vectors: number;
  /** Share of bytes that equal the format's own; without an input only the size was judged. */
  readonly equal: number | null;
}

/** Candidates, best first. x: what was encoded, (n, dim). @throws FormatError when no format has such a size. */
export function identify(options: {
  readonly packed: Uint8Array;
  readonly input?: Float32Array;
  readonly dim?: number;
}): Candidate[] {
  const { packed, input } = options;
  const out: Candidate[] = [];
  for (const dim of options.dim === undefined ? HEAD_DIMS : [options.dim])
    for (const format of allFormats()) {
      if (!format.supports(dim)) continue;
      const sides: Side[] =
        format.vectorBytes(dim, "key") === format.vectorBytes(dim, "value") && format.family !== "vllm"
          ? ["key"]
          : ["key", "value"];
      for (const side of sides) {
        const stride = format.vectorBytes(dim, side);
        if (packed.length === 0 || packed.length % stride !== 0) continue;
        const vectors = packed.length / stride;
        if (input && input.length !== vectors * dim) continue;
        const equal = input
          ? equalShare(referenceBytes(format.name, dim, input, { side, seed: 0 }), packed)
          : null;
        out.push({ format: format.name, side, dim, vectors, equal });
      }
    }
  if (out.length === 0)
    throw new FormatError(
      "BAD_LENGTH",
      `${packed.length} bytes${input ? ` for ${input.length} values` : ""}: no known format has such a size`,
    );
  return out.sort((a, b) => (b.equal ?? 0) - (a.equal ?? 0));
}

function equalShare(due: Uint8Array, packed: Uint8Array): number {
  let same = 0;
  for (let i = 0; i < due.length; i++) if (due[i] === packed[i]) same++;
  return same / due.length;
}
