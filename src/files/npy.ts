/**
 * The header of a .npy file; the elements follow it as they are. Own reader because npyjs reads whole arrays only.
 */
import { FormatError } from "../core/format-error.js";
import { BYTES, type Dtype, type Place, type Source } from "./place.js";

const bad = (message: string): FormatError => new FormatError("BAD_FILE", message);

/** "\x93NUMPY" · version u8, u8 · header length u16 (version 1) or u32 · a Python dict as text. */
const NPY_MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** Bytes from the start that hold any header. */
export const NPY_HEADER_MOST = 65536;
const NPY_DTYPES: Readonly<Record<string, Dtype>> = {
  "|u1": "U8",
  "<u1": "U8",
  "<f2": "F16",
  "<f4": "F32",
  "<f8": "F64",
};

/** head: a file's first bytes. */
export const isNpy = (head: Uint8Array): boolean => NPY_MAGIC.every((byte, i) => head[i] === byte);

/** path: for messages. head: its first bytes, up to NPY_HEADER_MOST. @throws FormatError BAD_FILE. */
export function locateNpy(path: string, head: Uint8Array, source: Source): Place {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const wide = head[6] !== 1;
  const start = wide ? 12 : 10;
  const broken = (what: string): FormatError => bad(`${path}: not a readable .npy (${what})`);
  if (head.length < start) throw broken("it ends in its header");
  const offset = start + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  if (offset > head.length) throw broken(`a header of ${offset} bytes`);
  const text = new TextDecoder("latin1").decode(head.subarray(start, offset));
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const fortran = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const axes = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(text)?.[1];
  if (descr === undefined || fortran === undefined || axes === undefined)
    throw broken("its header names no descr, fortran_order and shape");
  const dtype = NPY_DTYPES[descr];
  if (dtype === undefined) throw bad(`${path}: expected a .npy of u1, f2, f4 or f8, got ${descr}`);
  const shape = axes
    .split(",")
    .filter((axis) => axis.trim() !== "")
    .map(Number);
  if (fortran === "True" && shape.length > 1) throw bad(`${path}: expected C order, got Fortran order`);
  const length = shape.reduce((product, n) => product * n, 1);
  const bytes = source.size - offset;
  if (bytes !== length * BYTES[dtype])
    throw bad(`${path}: shape (${shape.join(", ")}) does not match ${bytes} bytes of ${descr}`);
  return { path, source, offset, dtype, length, shape };
}
