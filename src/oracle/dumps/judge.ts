/** An open dump, wherever its elements come from (files on disk, files of a browser) → its verdict, on this thread. */
import { FormatError } from "../../core/format-error.js";
import { readAll } from "../../files/place.js";
import type { Verdict } from "../verdict.js";
import { verify } from "../verify.js";
import type { DumpFormat } from "./definition.js";
import { type DumpShard, shareOf, verdictOf, type WindowRange } from "./shard.js";
import { type DumpFiles, verifyRange } from "./verify-range.js";

/** Vectors done, and how many there are. */
export type OnProgress = (done: number, total: number) => void;

/** A dump of up to this many values is judged whole, as `verify` does; a larger one by windows. */
export const WHOLE_VALUES = 1 << 20;
/** Vectors of a dump whose sizes do not fit that the diagnosis sees. */
const SAMPLE = 1024;

/** What is judged: the elements, how many vectors, and what a vector takes in each. */
export interface OpenDump {
  readonly of: DumpFormat;
  readonly files: DumpFiles;
  readonly vectors: number;
  readonly stride: number;
  readonly width: number;
}

/** In bounded memory. @throws FormatError for sizes that no fault explains. */
export function judge(dump: OpenDump, onProgress?: OnProgress): Verdict {
  if (isSmall(dump)) return verify({ ...dump.of, ...whole(dump.files) });
  if (!fits(dump)) return misfit(dump);
  return verdictOf(shardOf(dump, shareOf(dump.vectors, 1, 1), onProgress));
}

/** Small enough to be judged whole. */
export const isSmall = ({ vectors, of }: OpenDump): boolean => vectors * of.dim <= WHOLE_VALUES;

/** A range of its windows. */
export function shardOf(
  { of, files, vectors }: OpenDump,
  range: WindowRange,
  onProgress?: OnProgress,
): DumpShard {
  const total = range[1] - range[0];
  const share = verifyRange(of, files, vectors, range, (done) =>
    onProgress?.(Math.round((done / total) * vectors), vectors),
  );
  return { ...of, vectors, ranges: total > 0 ? [range] : [], ...share };
}

type Whole = Pick<Parameters<typeof verify>[0], "input" | "packed" | "decoded">;

const whole = ({ input, packed, decoded }: DumpFiles): Whole => ({
  input: readAll(input, Float32Array),
  ...(packed ? { packed: readAll(packed, Uint8Array) } : {}),
  ...(decoded ? { decoded: readAll(decoded, Float32Array) } : {}),
});

/** Whether the sizes are those of the format. */
export const fits = ({ files: { packed, decoded }, vectors, stride, width }: OpenDump): boolean =>
  (packed === undefined || packed.length === vectors * stride) &&
  (decoded === undefined || decoded.length === vectors * width);

/** What to throw where they are not. */
export const wrongSizes = ({ files: { packed, decoded }, vectors, stride, width }: OpenDump): FormatError =>
  new FormatError(
    "BAD_LENGTH",
    packed && packed.length !== vectors * stride
      ? `packed data of ${packed.length} bytes: expected ${vectors * stride} (${vectors} vectors of ${stride} bytes)`
      : `decoded data of ${decoded!.length} values: expected ${vectors * width} (${vectors} vectors of ${width} values)`,
  );

/**
 * Bytes of another size than they should have: another number per vector shows in the first vectors, an end that is
 * missing or too much where the bytes end.
 */
function misfit(dump: OpenDump): Verdict {
  const { of, files, vectors, stride } = dump;
  const { input, packed } = files;
  if (packed === undefined || packed.length === vectors * stride) throw wrongSizes(dump);
  const each = packed.length / vectors;
  const even = Number.isInteger(each);
  const end = Math.floor(packed.length / stride); // near the end of what is there
  const from = even ? 0 : Math.max(0, Math.min(vectors, end + SAMPLE / 2) - SAMPLE);
  const x = new Float32Array(SAMPLE * of.dim);
  input.read(from * of.dim, x);
  const begin = from * stride;
  const length = even ? SAMPLE * each : packed.length - begin;
  if (length > 8 * SAMPLE * stride) throw wrongSizes(dump);
  const bytes = new Uint8Array(length);
  packed.read(begin, bytes);
  return {
    ...verdictOfSample(dump, x, bytes),
    vectors,
    first: {
      vector: 0,
      field: "size",
      coordinate: null,
      byte: null,
      expected: vectors * stride,
      actual: packed.length,
    },
  };
}

/** What cannot be judged is said in the sizes of the dump, not of the sample. */
function verdictOfSample(dump: OpenDump, input: Float32Array, packed: Uint8Array): Verdict {
  try {
    return verify({ ...dump.of, input, packed });
  } catch (error) {
    throw error instanceof FormatError && error.code === "BAD_LENGTH" ? wrongSizes(dump) : error;
  }
}
