/** One step written down as numbers (f64, so that pointers, counts and f32 all fit), and read by another thread. */
import type { AttendOptions } from "../attention/attend.js";
import { type HalfBlocks, PagedLayer, type PageRegion } from "../attention/paged-layer.js";
import { PRECISIONS, type Precision } from "../attention/readers.js";
import type { SideCodec } from "../attention/side-codec.js";
import type { Arena } from "../kernels/arena.js";

/** Where each number is. */
export const AT = {
  /** Steps published so far. */
  serial: 0,
  /** Which attention. */
  attention: 1,
  /** Length of the memory. */
  bytes: 2,
  /** Where queries are, where results go, and how many values either has. */
  queries: 3,
  out: 4,
  values: 5,
  heads: 6,
  parts: 7,
  /** Options: which of PRECISIONS, and the others as they are. */
  precision: 8,
  scale: 9,
  sparse: 10,
  window: 11,
  sinks: 12,
  /** The layer. */
  tokens: 13,
  layer: 14,
  sinkTokens: 15,
  recentFrom: 16,
  ring: 17,
  /** Which codecs of the attention. */
  key: 18,
  value: 19,
  /** Where the list of its pages is. */
  pages: 20,
  /** Three numbers each. */
  keyRegion: 21,
  valueRegion: 24,
  sinkBlocks: 27,
  recentBlocks: 30,
} as const;
export const JOB_NUMBERS = 33;

export function putOptions(
  job: Float64Array,
  dim: number,
  precision: Precision,
  options: AttendOptions,
): void {
  job[AT.precision] = PRECISIONS.indexOf(precision);
  job[AT.scale] = options.scale ?? 1 / Math.sqrt(dim);
  job[AT.sparse] = options.sparse ?? 0;
  job[AT.window] = options.window ?? Number.POSITIVE_INFINITY;
  job[AT.sinks] = options.sinks ?? 0;
}

/** AttendOptions that are read again for every step. */
export class StepOptions implements AttendOptions {
  scale = 1;
  sparse = 0;
  window = Number.POSITIVE_INFINITY;
  sinks = 0;

  open(job: Float64Array): this {
    this.scale = job[AT.scale]!;
    this.sparse = job[AT.sparse]!;
    this.window = job[AT.window]!;
    this.sinks = job[AT.sinks]!;
    return this;
  }
}

/** codecs: those of the attention; pages: where the list of the layer's pages is. */
export function putLayer(
  job: Float64Array,
  runs: PagedLayer,
  codecs: readonly SideCodec[],
  pages: number,
): void {
  job[AT.tokens] = runs.tokens;
  job[AT.layer] = runs.layer;
  job[AT.sinkTokens] = runs.sinkTokens;
  job[AT.recentFrom] = runs.recentFrom;
  job[AT.ring] = runs.ring;
  job[AT.key] = codecs.indexOf(runs.key);
  job[AT.value] = codecs.indexOf(runs.value);
  job[AT.pages] = pages;
  putRegion(job, AT.keyRegion, runs.keyRegion);
  putRegion(job, AT.valueRegion, runs.valueRegion);
  putBlocks(job, AT.sinkBlocks, runs.sinkBlocks);
  putBlocks(job, AT.recentBlocks, runs.recentBlocks);
}

function putRegion(job: Float64Array, at: number, { offset, stride, headBytes }: PageRegion): void {
  job[at] = offset;
  job[at + 1] = stride;
  job[at + 2] = headBytes;
}
function putBlocks(job: Float64Array, at: number, { keys, values, headBytes }: HalfBlocks): void {
  job[at] = keys;
  job[at + 1] = values;
  job[at + 2] = headBytes;
}

/** The same layer on another thread: pages from a list of u32. */
export class ListedLayer extends PagedLayer {
  override readonly keyRegion = { offset: 0, stride: 0, headBytes: 0 };
  override readonly valueRegion = { offset: 0, stride: 0, headBytes: 0 };
  readonly #arena: Arena;
  #pages = 0;

  constructor(arena: Arena, pageTokens: number) {
    super(pageTokens);
    this.#arena = arena;
  }

  open(job: Float64Array, codecs: readonly SideCodec[]): this {
    this.tokens = job[AT.tokens]!;
    this.layer = job[AT.layer]!;
    this.sinkTokens = job[AT.sinkTokens]!;
    this.recentFrom = job[AT.recentFrom]!;
    this.ring = job[AT.ring]!;
    this.key = codecs[job[AT.key]!]!;
    this.value = codecs[job[AT.value]!]!;
    this.#pages = job[AT.pages]! >>> 2;
    takeRegion(job, AT.keyRegion, this.keyRegion);
    takeRegion(job, AT.valueRegion, this.valueRegion);
    takeBlocks(job, AT.sinkBlocks, this.sinkBlocks);
    takeBlocks(job, AT.recentBlocks, this.recentBlocks);
    return this;
  }

  page(index: number): number {
    return this.#arena.u32[this.#pages + index]!;
  }
}

function takeRegion(job: Float64Array, at: number, to: { -readonly [K in keyof PageRegion]: number }): void {
  to.offset = job[at]!;
  to.stride = job[at + 1]!;
  to.headBytes = job[at + 2]!;
}
function takeBlocks(job: Float64Array, at: number, to: HalfBlocks): void {
  to.keys = job[at]!;
  to.values = job[at + 1]!;
  to.headBytes = job[at + 2]!;
}
