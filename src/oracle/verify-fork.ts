/** A fork that can be run: every case through its encoder, the definition's bytes through its decoder. */
import { findFormat } from "../formats/registry.js";
import { referenceBytes } from "./compare-packed.js";
import { type Fork, ForkError } from "./forks/fork.js";
import { type CaseOutput, type CasesOptions, type CasesVerdict, verifyCases } from "./verify-cases.js";

/** An input that a running fork is asked to code. */
export type ForkInput = Pick<CaseOutput, "case" | "dim" | "exposes" | "input">;

/**
 * The decoder gets the definition's bytes, not the fork's own, so that one half cannot hide the other's fault.
 * @throws ForkError when the fork fails or offers nothing; RangeError for a dimension that the format does not take.
 */
export async function verifyFork(
  fork: Fork,
  options: CasesOptions,
  inputs: readonly ForkInput[],
): Promise<CasesVerdict> {
  const { format, side, seed } = options;
  const outputs: CaseOutput[] = [];
  for (const one of inputs) {
    const { dim, input } = one;
    const { width } = findFormat(format).open({ dim, side, seed });
    const vectors = input.length / dim;
    const packed = await fork.encode(input, dim);
    const decoded = await fork.decode(referenceBytes(format, dim, input, { side, seed }), dim, vectors);
    if (!packed && !decoded) throw new ForkError("the fork offers neither encode nor decode");
    if (decoded && decoded.length !== vectors * width)
      throw new ForkError(
        `the fork answered "decode" of ${vectors} vectors with ${decoded.length} values: expected ${vectors * width}`,
      );
    outputs.push({ ...one, ...(packed ? { packed } : {}), ...(decoded ? { decoded } : {}) });
  }
  return verifyCases(options, outputs);
}
