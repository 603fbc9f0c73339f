/** Bytes of a recorded-vector file → the object that {@link judgeRecorded} takes: JSON when it starts with "{" or "[". */
import { decode } from "@msgpack/msgpack";
import { badFile } from "./record.js";

/** @throws FormatError BAD_FILE when it is neither JSON nor msgpack. */
export function parseRecorded(bytes: Uint8Array): unknown {
  const start = bytes.findIndex((b) => b > 0x20);
  try {
    return bytes[start] === 0x7b || bytes[start] === 0x5b
      ? JSON.parse(new TextDecoder().decode(bytes))
      : decode(bytes);
  } catch (error) {
    throw badFile(`neither JSON nor msgpack: ${error instanceof Error ? error.message : error}`);
  }
}
