/**
 * The fixed rotation of the llama.cpp fork: s₂ ⊙ H (s₁ ⊙ x) / √g on groups of g = 128 values (64 and 32 use the
 * first entries of the tables). The tables are numpy's `default_rng(42).choice([-1, 1], 128)`, twice (PCG64);
 * kept as the fork keeps them, as literals.
 */
import { type Rotation, rotationFrom } from "../core/wht.js";

/** Bit i & 7 of byte i >> 3 set: entry i is −1. */
const S1 = [0x59, 0x03, 0x6a, 0xe4, 0x49, 0x59, 0xf8, 0x42, 0xbb, 0x3b, 0xc6, 0xa4, 0xa9, 0x50, 0xf2, 0x49];
const S2 = [0x90, 0xee, 0xac, 0x16, 0xdc, 0x8f, 0x62, 0x3f, 0x7a, 0x35, 0xa5, 0xb7, 0x62, 0x65, 0xa5, 0xbe];

const signs = (mask: readonly number[], count: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => ((mask[i >> 3]! >> (i & 7)) & 1 ? -1 : 1));

export type LlamaGroup = 32 | 64 | 128;

const rotations = new Map<LlamaGroup, Rotation>();

/** The fork's rotation of groups of `group` values; the quantiser's and GGML_OP_TURBO_WHT's. */
export function llamaRotation(group: LlamaGroup): Rotation {
  let rotation = rotations.get(group);
  if (!rotation) {
    rotation = rotationFrom(signs(S1, group), signs(S2, group), group);
    rotations.set(group, rotation);
  }
  return rotation;
}
