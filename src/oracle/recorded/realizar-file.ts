/**
 * realizar's golden recording: quantised blocks, prefix hashes and cache traces. Blocks are judged here; hashes and
 * traces by the judges that the caller passes in, and a file that has them can not be judged without.
 */
import { putU32 } from "../../core/little-endian.js";
import { findFormat } from "../../formats/registry.js";
import { badFile, type RecordedFields } from "./record.js";
import type { RecordedVerdict, Tally } from "./tally.js";

const BLOCK = 32;

export interface RealizarJudges {
  /** Replays the traces of a recording: realizar's cache over again. */
  readonly traces?: ((recording: unknown) => RecordedVerdict) | undefined;
  /** realizar's prefix hash of token ids. */
  readonly prefixHash?: ((tokens: ArrayLike<number>) => bigint) | undefined;
}

export function judgeRealizarFile(file: RecordedFields, judges: RealizarJudges, tally: Tally): void {
  if (file.has("quant")) for (const record of file.records("quant")) judgeBlock(record, tally);
  if (file.has("fnv")) for (const record of file.records("fnv")) judgeHash(record, judges, tally);
  if (!file.has("traces")) return;
  if (!judges.traces) throw badFile("the file has traces, and nothing here to replay them");
  const verdict = replay(judges.traces, file.list("traces"));
  if (verdict.cases === 0) throw badFile("the traces of the file have no operations");
  tally.add(verdict);
}

/** A replay that can not read its traces says so by a TypeError. */
function replay(judge: NonNullable<RealizarJudges["traces"]>, traces: readonly unknown[]): RecordedVerdict {
  try {
    return judge({ traces });
  } catch (error) {
    throw error instanceof TypeError ? badFile(error.message) : error;
  }
}

function judgeBlock(record: RecordedFields, tally: Tally): void {
  const input = hexFloats(record, "in");
  const sides = (["q8", "q4"] as const).map((name) => {
    const codec = findFormat(`realizar/${name}`).open({ dim: BLOCK });
    const codes = record.list(name);
    if (codes.length !== codec.bytesPerVector - 4 || !codes.every(Number.isInteger))
      throw badFile(`${record.where}: "${name}" is not ${codec.bytesPerVector - 4} codes`);
    const packed = new Uint8Array(codec.bytesPerVector);
    putU32(packed, 0, hex(record.text(`${name}_scale`), record.where));
    packed.set(
      Uint8Array.from(codes as number[], (c) => c & 255),
      4,
    );
    return { name, codec, packed, dequant: hexFloats(record, `${name}_deq`) };
  });
  tally.case(record.where, () => {
    for (const { name, codec, packed, dequant } of sides) {
      const encoded = new Uint8Array(packed.length);
      codec.encode(input, encoded);
      tally.bytes(`${name} packed`, packed, encoded, packed.length);
      const decoded = new Float32Array(BLOCK);
      codec.decode(packed, decoded);
      tally.floats(`${name} dequantised`, dequant, decoded, BLOCK);
    }
  });
}

function judgeHash(record: RecordedFields, { prefixHash }: RealizarJudges, tally: Tally): void {
  if (!prefixHash) throw badFile("the file has prefix hashes, and nothing here to compute them");
  const tokens = record.value("tokens");
  if (!Array.isArray(tokens) || !tokens.every((t) => Number.isInteger(t) && t >= 0 && t < 2 ** 32))
    throw badFile(`${record.where}: "tokens" are not u32`);
  const hash = record.text("hash");
  tally.case(record.where, () => {
    const actual = prefixHash(tokens).toString(16).padStart(16, "0");
    if (actual !== hash.toLowerCase().padStart(16, "0")) tally.differ("hash", hash, actual);
  });
}

/** f32 bit patterns in hexadecimal: (32,). */
function hexFloats(record: RecordedFields, name: string): Float32Array {
  const list = record.list(name);
  if (list.length !== BLOCK) throw badFile(`${record.where}: "${name}" has not ${BLOCK} values`);
  const bits = Uint32Array.from(list, (text) => hex(text, record.where));
  return new Float32Array(bits.buffer);
}

function hex(text: unknown, where: string): number {
  if (typeof text !== "string" || !/^[0-9a-fA-F]{8}$/.test(text))
    throw badFile(`${where}: ${JSON.stringify(text)} is not 8 hexadecimal digits`);
  return Number.parseInt(text, 16);
}
