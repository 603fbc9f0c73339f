/** All vectors coded, decoded and counted, a part at a time; then any one of them, and every other format. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { Elements } from "../src/files/place.js";
import { type Codec, createCodec } from "../src/formats/codec.js";
import { allFormats, bitsPerValue, findFormat } from "../src/formats/registry.js";
import type { Kernels } from "../src/kernels/kernels.js";
import { readCodes } from "../src/oracle/pipeline/layouts.js";
import { CoordinateCounts } from "../src/report/coordinates.js";
import type { Rate } from "../src/report/rates.js";
import { openRotation, type RotationView } from "../src/report/rotation-view.js";
import type { Settings, Summary, VectorView } from "./protocol.js";

/** Values of a part: tens of milliseconds in the slowest format. */
const PART_VALUES = 1 << 16;
/** Vectors on which all formats are tried. */
export const TRIED = 256;
const [LOW, HIGH, STEPS] = [-6, 1, 140];

export class Analysis {
  readonly vectors: number;
  readonly #settings: Settings;
  readonly #x: Elements<Float32Array>;
  readonly #codec: Codec;
  readonly #rotation: RotationView | undefined;
  readonly #coordinates: CoordinateCounts;
  readonly #codes: number[] | undefined;
  readonly #errors = new Array<number>(STEPS).fill(0);
  readonly #digest = sha256.create();
  readonly #packed: Uint8Array<ArrayBuffer>[] = [];
  #done = 0;
  #finite = 0;
  #cosines = 0;
  #withNorm = 0;
  #error = 0;
  #energy = 0;
  /** The least of all parts: the first ones warm up. */
  #encodeNs = Number.POSITIVE_INFINITY;

  /** x: (vectors, dim). @throws RangeError as createCodec. */
  constructor(x: Elements<Float32Array>, settings: Settings, kernels: Kernels | undefined) {
    const { format, dim, seed, side } = settings;
    this.#settings = settings;
    this.#x = x;
    this.#codec = openCodec(format, settings, kernels);
    this.vectors = x.length / dim;
    this.#rotation = openRotation({ format, dim, seed, side });
    this.#coordinates = new CoordinateCounts({ format, dim, seed, side });
    const wire = this.#rotation?.wire;
    this.#codes = wire && new Array<number>(2 ** wire.bits).fill(0);
  }

  /** Codes the next part. False when there was none. */
  step(): boolean {
    if (this.#done === this.vectors) return false;
    const { dim } = this.#settings;
    const n = Math.min(this.vectors - this.#done, Math.max(1, Math.floor(PART_VALUES / dim)));
    const x = new Float32Array(n * dim);
    this.#x.read(this.#done * dim, x);
    const start = performance.now();
    const packed = this.#codec.encode(x) as Uint8Array<ArrayBuffer>;
    this.#encodeNs = Math.min(this.#encodeNs, (1e6 * (performance.now() - start)) / n);
    this.#digest.update(packed);
    this.#packed.push(packed);
    this.#compare(x, this.#codec.decode(packed));
    this.#coordinates.add(x.every(Number.isFinite) ? x : finiteOf(x, dim));
    this.#countCodes(packed);
    this.#done += n;
    return true;
  }

  #compare(x: Float32Array, y: Float32Array): void {
    const { dim } = this.#settings;
    for (let at = 0; at < x.length; at += dim) {
      const { error, energy, decoded, product } = sums(x, y, at, dim);
      if (!Number.isFinite(error + energy)) continue;
      this.#finite++;
      this.#error += error;
      this.#energy += energy;
      if (energy === 0) continue;
      this.#withNorm++;
      if (decoded > 0) this.#cosines += product / Math.sqrt(energy * decoded);
      const step = Math.floor(((Math.log10(error / energy) - LOW) / (HIGH - LOW)) * STEPS);
      this.#errors[Math.max(0, Math.min(STEPS - 1, step))]!++;
    }
  }

  #countCodes(packed: Uint8Array): void {
    const wire = this.#rotation?.wire;
    if (!wire || !this.#codes) return;
    const codes = new Uint8Array(wire.group);
    for (let at = 0; at < packed.length; at += wire.groupBytes) {
      readCodes(packed, at, wire.layout, wire.bits, 0, codes);
      for (const code of codes) this.#codes[code]!++;
    }
  }

  summary(): Summary {
    const { bytesPerVector, bitsPerValue: bits, backend, counts } = this.#codec;
    return {
      vectors: this.#done,
      total: this.vectors,
      bytesPerVector,
      bitsPerValue: bits,
      backend,
      distortion: this.#energy > 0 ? this.#error / this.#energy : 0,
      cosine: this.#withNorm > 0 ? this.#cosines / this.#withNorm : 0,
      finite: this.#finite,
      encodeNs: this.#encodeNs,
      mended: counts ?? null,
      coordinates: this.#coordinates.view(),
      errors: { low: LOW, high: HIGH, counts: [...this.#errors] },
      codes: this.#codes ? [...this.#codes] : null,
    };
  }

  /** The packed bytes of all vectors, and their digest. Once, when every part is done. */
  result(): { readonly packed: Blob; readonly sha256: string } {
    return { packed: new Blob(this.#packed), sha256: bytesToHex(this.#digest.digest()) };
  }

  /** One vector. @throws RangeError where there is none. */
  view(index: number): VectorView {
    const { dim } = this.#settings;
    if (!Number.isInteger(index) || index < 0 || index >= this.vectors)
      throw new RangeError(`"vector" expected 0 … ${this.vectors - 1}, got ${index}`);
    const x = new Float32Array(dim);
    this.#x.read(index * dim, x);
    const bytes = this.#codec.encode(x);
    const decoded = this.#codec.decode(bytes);
    const { error, energy } = sums(x, decoded, 0, dim);
    return {
      index,
      x,
      decoded,
      bytes,
      distortion: energy > 0 ? error / energy : 0,
      rotated: this.#viewRotated(x, bytes),
    };
  }

  #viewRotated(x: Float32Array, bytes: Uint8Array): VectorView["rotated"] {
    const rotation = this.#rotation;
    if (!rotation?.wire || !x.every(Number.isFinite)) return null;
    const { group, groups, groupBytes, layout, bits, normAt, normBytes } = rotation.wire;
    const z = new Float32Array(groups * group);
    let g = 0;
    rotation.each(x, (part) => z.set(part ?? [], g++ * group));
    const codes = new Uint8Array(groups * group);
    for (let i = 0; i < groups; i++)
      readCodes(bytes, i * groupBytes, layout, bits, 0, codes.subarray(i * group, (i + 1) * group));
    const { centroids, boundaries } = rotation;
    return {
      z,
      codes,
      centroids,
      boundaries,
      normBytes: Array.from({ length: groups }, (_, i) => i * groupBytes).flatMap((base) =>
        normAt.flatMap((at) => Array.from({ length: normBytes }, (_, b) => base + at + b)),
      ),
    };
  }
}

/** What all formats make of the first vectors: distortion against bits. */
export function* ratesOf(
  elements: Elements<Float32Array>,
  settings: Settings,
  kernels: Kernels | undefined,
): Generator<Rate> {
  const { dim, side } = settings;
  const x = new Float32Array(Math.min(TRIED * dim, elements.length));
  elements.read(0, x);
  const finite = finiteOf(x, dim);
  for (const { name, family } of allFormats().filter((f) => f.supports(dim))) {
    const codec = openCodec(name, settings, kernels);
    const { error, energy } = sums(finite, codec.decode(codec.encode(finite)), 0, finite.length);
    const bits = bitsPerValue(findFormat(name), dim, side);
    yield { format: name, family, side, bits, distortion: energy > 0 ? error / energy : 0 };
  }
}

function openCodec(
  format: string,
  { dim, seed, side, scale }: Settings,
  kernels: Kernels | undefined,
): Codec {
  return createCodec(format, {
    dim,
    seed,
    side,
    nonFinite: "sanitize",
    ...(scale ? { scale } : {}),
    ...(kernels ? { backend: kernels } : {}),
  });
}

function sums(x: Float32Array, y: Float32Array, from: number, n: number) {
  let [error, energy, decoded, product] = [0, 0, 0, 0];
  for (let i = from; i < from + n; i++) {
    error += (x[i]! - y[i]!) ** 2;
    energy += x[i]! ** 2;
    decoded += y[i]! ** 2;
    product += x[i]! * y[i]!;
  }
  return { error, energy, decoded, product };
}

function finiteOf(x: Float32Array, dim: number): Float32Array {
  const rows: Float32Array[] = [];
  for (let at = 0; at < x.length; at += dim) {
    const row = x.subarray(at, at + dim);
    if (row.every(Number.isFinite)) rows.push(row);
  }
  const out = new Float32Array(rows.length * dim);
  for (const [i, row] of rows.entries()) out.set(row, i * dim);
  return out;
}
