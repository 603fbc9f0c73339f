/**
 * A module that imports its memory, told that the memory is shared. Code is the same: plain loads and stores are what they
 * are on any memory, so one bit of the import's limits is all that differs, and one copy of the bytes serves both.
 *
 * The binary format (WebAssembly core specification 5.5): eight bytes of magic and version, then sections: id, size, body. Imports
 * are section 2: a count, then module and field as counted strings, a kind, and for a memory (kind 2) flags, minimum and
 * maximum. Flags: 1 has a maximum, 2 is shared.
 */
const IMPORTS = 2;
const MEMORY = 2;
const HAS_MAXIMUM = 1;
const SHARED = 2;

/** @throws Error unless the module's first import is a memory with a maximum. */
export function importSharedMemory(module: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const bytes = module.slice();
  let at = 8;
  /** An unsigned LEB128 number. */
  const number = (): number => {
    let n = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      n |= (byte & 127) << shift;
      if (byte < 128) return n;
    }
  };
  while (at < bytes.length) {
    const id = bytes[at++]!;
    const size = number();
    if (id !== IMPORTS) {
      at += size;
      continue;
    }
    number();
    for (let name = 0; name < 2; name++) {
      const length = number();
      at += length;
    }
    if (bytes[at] !== MEMORY || (bytes[at + 1]! & HAS_MAXIMUM) === 0) break;
    bytes[at + 1]! |= SHARED;
    return bytes;
  }
  throw new Error("kernels: this module imports no memory with a maximum");
}
