/** A range of a dump's windows: encode by chunks, compare bytes, and look closer only at windows that differ. */
import type { Elements } from "../../files/place.js";
import { type DumpFormat, openDefinition } from "./definition.js";
import { EMPTY, isKept, mergeTallies, severityOf, type Tally, WINDOW } from "./tally.js";

/** What is read; at least one of packed and decoded. */
export interface DumpFiles {
  readonly input: Elements<Float32Array>;
  readonly packed?: Elements<Uint8Array> | undefined;
  readonly decoded?: Elements<Float32Array> | undefined;
}

/** The tallies of what was there to judge. */
export interface Tallies {
  readonly packed?: Tally;
  readonly decoded?: Tally;
}

/** Values encoded between two comparisons: what fits a cache level, whole windows of it. */
const CHUNK_VALUES = 1 << 19;

/** vectors: of the whole dump. onWindows: called with the number of windows done. */
export function verifyRange(
  of: DumpFormat,
  { input, packed, decoded }: DumpFiles,
  vectors: number,
  [from, to]: readonly [number, number],
  onWindows: (done: number) => void = () => {},
): Tallies {
  const { dim } = of;
  const definition = openDefinition(of);
  const { codec, stride, width } = definition;
  const windows = Math.max(1, Math.floor(CHUNK_VALUES / (WINDOW * dim)));
  const most = windows * WINDOW;
  const x = new Float32Array(most * dim);
  const ref = new Uint8Array(most * stride);
  const bytes = packed && new Uint8Array(most * stride);
  const due = decoded && new Float32Array(most * width);
  const values = decoded && new Float32Array(most * width);
  let packedTally = EMPTY;
  let decodedTally = EMPTY;
  for (let w = from; w < to; w += windows) {
    const first = w * WINDOW;
    const n = Math.min(Math.min(w + windows, to) * WINDOW, vectors) - first;
    const xs = x.subarray(0, n * dim);
    const refs = ref.subarray(0, n * stride);
    input.read(first * dim, xs);
    codec.encode(xs, refs);
    if (packed && bytes) {
      const got = bytes.subarray(0, n * stride);
      packed.read(first * stride, got);
      packedTally = tallied(packedTally, { x: xs, due: refs, got, w, n }, definition.comparePacked);
    }
    if (decoded && due && values) {
      const got = values.subarray(0, n * width);
      const dues = due.subarray(0, n * width);
      decoded.read(first * width, got);
      codec.decodeNative(refs, dues);
      decodedTally = tallied(decodedTally, { x: xs, due: dues, got, w, n }, definition.compareDecoded);
    }
    onWindows(Math.min(w + windows, to) - from);
  }
  return {
    ...(packed ? { packed: packedTally } : {}),
    ...(decoded ? { decoded: decodedTally } : {}),
  };
}

/** n vectors from window w on. */
interface Chunk<T> {
  readonly x: Float32Array;
  readonly due: T;
  readonly got: T;
  readonly w: number;
  readonly n: number;
}

type Compare<T> = (x: Float32Array, due: T, got: T) => Parameters<typeof severityOf>[0];

function tallied<T extends Uint8Array | Float32Array>(
  tally: Tally,
  { x, due, got, w, n }: Chunk<T>,
  compare: Compare<T>,
): Tally {
  if (w > 0 && sameBytes(due, got)) return { ...tally, vectors: tally.vectors + n };
  const dim = x.length / n;
  const per = due.length / n;
  let result = tally;
  for (let at = 0; at < n; at += WINDOW) {
    const end = Math.min(at + WINDOW, n);
    const xs = x.subarray(at * dim, end * dim);
    const dues = due.subarray(at * per, end * per) as T;
    const gots = got.subarray(at * per, end * per) as T;
    const window = w + at / WINDOW;
    const same = sameBytes(dues, gots);
    const c = same ? undefined : compare(xs, dues, gots);
    const severity = c ? severityOf(c) : "same";
    result = mergeTallies(result, {
      vectors: end - at,
      wrong: c?.wrong.length ?? 0,
      normUlps: c?.normUlps ?? 0,
      boundaryFlips: c?.boundaryFlips ?? 0,
      kept: isKept(result, window, severity)
        ? [{ window, severity, input: bytesOf(xs).slice(), output: bytesOf(gots).slice() }]
        : [],
    });
  }
  return result;
}

const bytesOf = (a: Uint8Array | Float32Array): Uint8Array =>
  new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

/** Words, then the bytes that are left: both begin at a multiple of 4 in buffers of their own. */
function sameBytes(a: Uint8Array | Float32Array, b: Uint8Array | Float32Array): boolean {
  const [whole, rest] = [a.byteLength >> 2, a.byteLength & 3];
  const p = new Uint32Array(a.buffer, a.byteOffset, whole);
  const q = new Uint32Array(b.buffer, b.byteOffset, whole);
  for (let i = 0; i < whole; i++) if (p[i] !== q[i]) return false;
  const [x, y] = [bytesOf(a), bytesOf(b)];
  for (let i = 4 * whole; i < 4 * whole + rest; i++) if (x[i] !== y[i]) return false;
  return true;
}
