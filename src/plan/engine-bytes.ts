/** The byte counter of planning: registered formats by name. */
import { assertSupported } from "../formats/block-codec.js";
import { findFormat } from "../formats/registry.js";
import type { VectorBytes } from "./kv-bytes.js";

/** @throws FormatError UNKNOWN_FORMAT for an unknown name, RangeError for a dimension that the format does not take. */
export const registryBytes: VectorBytes = (name, dim, side) => {
  const format = findFormat(name);
  assertSupported(format, dim);
  return format.vectorBytes(dim, side);
};
