/** What a model file gives: the shape of the transformer and its tensors, under GGUF's names. */
import type { FileHandle } from "node:fs/promises";
import { FormatError } from "../core/format-error.js";
import type { Rope } from "../core/rope.js";
import type { TensorType } from "./tensor-types.js";

/** A transformer's geometry and constants. */
export interface ModelConfig {
  readonly architecture: "llama" | "qwen2";
  readonly name: string;
  readonly layers: number;
  /** Width of the residual stream. */
  readonly width: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabulary: number;
  /** Tokens the model was trained on at once. */
  readonly context: number;
  readonly epsilon: number;
  /** Without the factors that a file may have as a tensor: Transformer.rope has them. */
  readonly rope: Rope;
  /** What YaRN multiplies turned queries and keys by; 1 for others. */
  readonly ropeMagnitude: number;
}

/** A matrix (rows, columns) of packed rows, or a vector (rows = 1). */
export interface TensorInfo {
  readonly name: string;
  readonly type: TensorType;
  readonly rows: number;
  readonly columns: number;
  /** Bytes of all rows, and where they begin in the file. */
  readonly bytes: number;
  readonly offset: number;
}

export interface ModelSource {
  readonly path: string;
  readonly fileBytes: number;
  readonly config: ModelConfig;
  /** The tensor of this name; undefined where the model has none. */
  tensor(name: string): TensorInfo | undefined;
  /** Fills `into` (info.bytes long) with the tensor's bytes. */
  read(info: TensorInfo, into: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** What a model's file says of itself: plain data, which one thread can read for another. */
export interface ModelHeader {
  readonly path: string;
  readonly fileBytes: number;
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** A source with all of its header. */
export interface FileSource extends ModelSource, ModelHeader {}

/** The tensors of a file that is open; closing the source closes it. */
export const sourceOf = (header: ModelHeader, file: FileHandle): FileSource => ({
  ...header,
  tensor: (name) => header.tensors.get(name),
  read: (info, into) => readFully(file, header.path, into, info.offset),
  close: () => file.close(),
});

/** Reads exactly into.length bytes at `position`, without a copy on the way. @throws FormatError at the end. */
export async function readFully(
  file: FileHandle,
  path: string,
  into: Uint8Array,
  position: number,
): Promise<void> {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await file.read(into, at, into.length - at, position + at);
    if (bytesRead === 0) throw new FormatError("BAD_FILE", `${path}: the file ends at byte ${position + at}`);
    at += bytesRead;
  }
}
