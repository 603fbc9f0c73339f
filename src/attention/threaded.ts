/**
 * What a backend with threads (turboquant-kv/threads) offers to attention: the same attention opened on every thread, over
 * the same memory. Nothing here starts a thread.
 */
import type { Center } from "../core/centring.js";
import type { Kernels } from "../kernels/kernels.js";
import type { AttendOptions, Attention } from "./attend.js";
import type { PagedLayer } from "./paged-layer.js";
import type { Precision } from "./readers.js";
import type { SideCodec, SideOptions } from "./side-codec.js";

/** How a codec is opened. */
export interface SideRequest extends SideOptions {
  readonly format: string;
}

/** What another thread needs to open the same codecs and the same Attention. Plain data. */
export interface AttentionRecipe {
  readonly dim: number;
  readonly kvHeads: number;
  readonly pageTokens: number;
  /** In the order of the codecs. */
  readonly sides: readonly SideRequest[];
  readonly halves: number;
  readonly center: Center | undefined;
}

/** Steps of attention; `attend` is that of Attention, and gives the same bits. */
export interface AttentionSteps {
  attend(
    runs: PagedLayer,
    queries: Float32Array,
    heads: number,
    out: Float32Array,
    precision: Precision,
    options: AttendOptions,
  ): void;
  /** The attention will not be used again. */
  close(): void;
}

/** A backend with threads. */
export interface ThreadedKernels extends Kernels {
  /** Threads that compute, the caller's included: 1 where no other is there (any more). */
  readonly threads: number;
  /** own: the caller's attention, over `codecs`, made of the same recipe. Undefined: it remains alone. */
  openAttention(
    own: Attention,
    codecs: readonly SideCodec[],
    recipe: AttentionRecipe,
  ): AttentionSteps | undefined;
}

/** Whether a backend has threads. */
export const isThreaded = (kernels: Kernels): kernels is ThreadedKernels => "openAttention" in kernels;
