/** What the page and its worker say to each other. */
import type { ScaleRule } from "../src/core/scale.js";
import type { SanitizeCounts, Side } from "../src/formats/format.js";
import type { Candidate } from "../src/oracle/identify.js";
import type { Verdict } from "../src/oracle/verdict.js";
import type { Coordinates } from "../src/report/coordinates.js";
import type { Rate } from "../src/report/rates.js";

/** Where vectors come from: a file (with the tensor's name, where it holds several), or random numbers. */
export type VectorSource =
  | { readonly kind: "file"; readonly blob: Blob; readonly name: string; readonly tensor?: string }
  | { readonly kind: "normal"; readonly vectors: number };

export interface Settings {
  readonly format: string;
  readonly dim: number;
  readonly seed: bigint;
  readonly side: Side;
  /** null: the side's own. */
  readonly scale: ScaleRule | null;
  readonly backend: "wasm" | "reference";
}

/** An array of floats that a file holds. */
export interface FoundTensor {
  /** null: the file is the array. */
  readonly name: string | null;
  readonly dtype: string;
  /** null: a raw file has none. */
  readonly shape: readonly number[] | null;
  readonly length: number;
}

/** Counts of squared error over energy, vector by vector, in equal steps of log₁₀ D from low to high. */
export interface ErrorCounts {
  readonly low: number;
  readonly high: number;
  readonly counts: readonly number[];
}

/** What is known of the vectors so far. */
export interface Summary {
  readonly vectors: number;
  readonly total: number;
  readonly bytesPerVector: number;
  readonly bitsPerValue: number;
  readonly backend: string;
  /** Σ|x − x′|² / Σ|x|² over the vectors that are finite. */
  readonly distortion: number;
  /** Mean of cos(x, x′) over the vectors that have a norm. */
  readonly cosine: number;
  readonly finite: number;
  readonly encodeNs: number;
  readonly mended: SanitizeCounts | null;
  readonly coordinates: Coordinates;
  readonly errors: ErrorCounts;
  /** How often each code came, where a code is that of one coordinate. */
  readonly codes: readonly number[] | null;
}

/** One vector, and all that became of it. */
export interface VectorView {
  readonly index: number;
  readonly x: Float32Array;
  readonly decoded: Float32Array;
  readonly bytes: Uint8Array;
  /** Squared error over energy. */
  readonly distortion: number;
  /** In units of N(0,1): what was quantised, and what each code stands for; null where that is not one coordinate's. */
  readonly rotated: {
    readonly z: Float32Array;
    readonly codes: Uint8Array;
    readonly centroids: readonly number[];
    readonly boundaries: readonly number[];
    /** Which bytes of the vector hold scales. */
    readonly normBytes: readonly number[];
  } | null;
}

export type Request =
  | { readonly type: "open"; readonly source: VectorSource }
  | { readonly type: "analyse"; readonly source: VectorSource; readonly settings: Settings }
  | { readonly type: "vector"; readonly index: number }
  | { readonly type: "export"; readonly source: VectorSource; readonly dim: number }
  | {
      readonly type: "check";
      readonly source: VectorSource;
      readonly settings: Settings;
      readonly packed: File | null;
      readonly decoded: File | null;
    };

export type Reply =
  | { readonly type: "opened"; readonly tensors: readonly FoundTensor[] }
  | { readonly type: "summary"; readonly summary: Summary; readonly milliseconds: number }
  | { readonly type: "done"; readonly packed: Blob; readonly sha256: string }
  | { readonly type: "rates"; readonly rates: readonly Rate[]; readonly vectors: number }
  | { readonly type: "vector"; readonly view: VectorView }
  | { readonly type: "progress"; readonly done: number; readonly total: number }
  | {
      readonly type: "checked";
      readonly verdict: Verdict;
      /** Which formats the packed bytes may be of, best first; none where they were not asked about. */
      readonly candidates: readonly Candidate[];
    }
  | { readonly type: "exported"; readonly blob: Blob }
  | { readonly type: "failed"; readonly message: string };
