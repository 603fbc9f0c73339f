/** One step written down as numbers, and read by another thread. */
import type { AttendOptions } from "../attention/attend.js";
import { type HalfBlocks, PagedLayer } from "../attention/paged-layer.js";
import { PRECISIONS, type Precision } from "../attention/readers.js";
import type { SideCodec } from "../attention/side-codec.js";
import type { PageRegion } from "../attention/token-runs.js";
import type { Arena } from "../kernels/arena.js";

/** Where each of the words is. */
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
  /** Which of PRECISIONS. */
  precision: 8,
  /** The layer. */
  tokens: 9,
  layer: 10,
  sinkTokens: 11,
  recentFrom: 12,
  ring: 13,
  /** Which codecs of the attention. */
  key: 14,
  value: 15,
  /** Where the list of its pages is. */
  pages: 16,
  /** Three numbers each. */
  keyRegion: 17,
  valueRegion: 20,
  sinkBlocks: 23,
  recentBlocks: 26,
} as const;
const WORDS = 29;
const OPTIONS = 4;
export const JOB_BYTES = 8 * OPTIONS + 4 * WORDS;

/** Where a step is written down: (4,) f64 options, then u32 words. */
export class Job {
  readonly words: Uint32Array;
  readonly options: Float64Array;

  constructor(buffer: ArrayBufferLike, pointer: number) {
    this.options = new Float64Array(buffer, pointer, OPTIONS);
    this.words = new Uint32Array(buffer, pointer + 8 * OPTIONS, WORDS);
  }
}

export function putOptions(
  { words, options }: Job,
  defaultScale: number,
  precision: Precision,
  { scale, sparse, window, sinks }: AttendOptions,
): void {
  words[AT.precision] = PRECISIONS.indexOf(precision);
  options[0] = scale ?? defaultScale;
  options[1] = sparse ?? 0;
  options[2] = window ?? Number.POSITIVE_INFINITY;
  options[3] = sinks ?? 0;
}

/** AttendOptions that are read again for every step; what stays is not written, since a number that is not small is garbage. */
export class StepOptions implements AttendOptions {
  scale = 1;
  sparse = 0;
  window = Number.POSITIVE_INFINITY;
  sinks = 0;

  open({ options }: Job): this {
    if (this.scale !== options[0]) this.scale = options[0]!;
    if (this.sparse !== options[1]) this.sparse = options[1]!;
    if (this.window !== options[2]) this.window = options[2]!;
    if (this.sinks !== options[3]) this.sinks = options[3]!;
    return this;
  }
}

/** codecs: those of the attention; pages: where the list of the layer's pages is. */
export function putLayer(
  { words }: Job,
  runs: PagedLayer,
  codecs: readonly SideCodec[],
  pages: number,
): void {
  words[AT.tokens] = runs.tokens;
  words[AT.layer] = runs.layer;
  words[AT.sinkTokens] = runs.sinkTokens;
  words[AT.recentFrom] = runs.recentFrom;
  words[AT.ring] = runs.ring;
  words[AT.key] = codecs.indexOf(runs.key);
  words[AT.value] = codecs.indexOf(runs.value);
  words[AT.pages] = pages;
  putRegion(words, AT.keyRegion, runs.keyRegion);
  putRegion(words, AT.valueRegion, runs.valueRegion);
  putBlocks(words, AT.sinkBlocks, runs.sinkBlocks);
  putBlocks(words, AT.recentBlocks, runs.recentBlocks);
}

function putRegion(words: Uint32Array, at: number, { offset, stride, headBytes }: PageRegion): void {
  words[at] = offset;
  words[at + 1] = stride;
  words[at + 2] = headBytes;
}
function putBlocks(words: Uint32Array, at: number, { keys, values, headBytes }: HalfBlocks): void {
  words[at] = keys;
  words[at + 1] = values;
  words[at + 2] = headBytes;
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

  open({ words }: Job, codecs: readonly SideCodec[]): this {
    this.tokens = words[AT.tokens]!;
    this.layer = words[AT.layer]!;
    this.sinkTokens = words[AT.sinkTokens]!;
    this.recentFrom = words[AT.recentFrom]!;
    this.ring = words[AT.ring]!;
    this.key = codecs[words[AT.key]!]!;
    this.value = codecs[words[AT.value]!]!;
    this.#pages = words[AT.pages]! >>> 2;
    takeRegion(words, AT.keyRegion, this.keyRegion);
    takeRegion(words, AT.valueRegion, this.valueRegion);
    takeBlocks(words, AT.sinkBlocks, this.sinkBlocks);
    takeBlocks(words, AT.recentBlocks, this.recentBlocks);
    return this;
  }

  page(index: number): number {
    return this.#arena.u32[this.#pages + index]!;
  }
}

function takeRegion(words: Uint32Array, at: number, to: { -readonly [K in keyof PageRegion]: number }): void {
  to.offset = words[at]!;
  to.stride = words[at + 1]!;
  to.headBytes = words[at + 2]!;
}
function takeBlocks(words: Uint32Array, at: number, to: HalfBlocks): void {
  to.keys = words[at]!;
  to.values = words[at + 1]!;
  to.headBytes = words[at + 2]!;
}
