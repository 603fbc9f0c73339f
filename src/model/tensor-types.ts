/**
 * Tensor types of GGUF that the model's kernels read (assembly/model/dequantise.ts), with the bytes of a block.
 * Numbers and layouts are ggml's (ggml.h, ggml-common.h).
 */
import { FormatError } from "../core/format-error.js";

export interface TensorType {
  readonly name: string;
  /** ggml's number, which is also the kernels'. */
  readonly id: number;
  /** Values of a block, and its bytes. */
  readonly block: number;
  readonly bytes: number;
}

const TYPES: readonly TensorType[] = [
  { name: "f32", id: 0, block: 1, bytes: 4 },
  { name: "f16", id: 1, block: 1, bytes: 2 },
  { name: "q4_0", id: 2, block: 32, bytes: 2 + 16 },
  { name: "q4_1", id: 3, block: 32, bytes: 2 + 2 + 16 },
  { name: "q5_0", id: 6, block: 32, bytes: 2 + 4 + 16 },
  { name: "q5_1", id: 7, block: 32, bytes: 2 + 2 + 4 + 16 },
  { name: "q8_0", id: 8, block: 32, bytes: 2 + 32 },
  { name: "q4_k", id: 12, block: 256, bytes: 2 + 2 + 12 + 128 },
  { name: "q6_k", id: 14, block: 256, bytes: 128 + 64 + 16 + 2 },
  { name: "bf16", id: 30, block: 1, bytes: 2 },
];

export const F32_TYPE = TYPES[0]!;

/** @throws FormatError UNKNOWN_FORMAT for a type the kernels do not read. */
export function tensorType(id: number, where: string): TensorType {
  const type = TYPES.find((candidate) => candidate.id === id);
  if (type) return type;
  const known = TYPES.map(({ name }) => name).join(", ");
  throw new FormatError("UNKNOWN_FORMAT", `${where} has ggml type ${id}; read are ${known}`);
}
