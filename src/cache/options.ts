/** What a cache is made of, checked once. */
import { sha256 } from "@noble/hashes/sha2.js";
import { PRECISIONS, type Precision } from "../attention/readers.js";
import { assertMeans, type Center } from "../core/centring.js";
import { assertInteger, assertOneOf } from "../core/check.js";
import { assertSeed, type Seed } from "../core/random.js";
import { checkRope } from "../core/rope.js";
import { SCALE_RULES, type ScaleRule } from "../core/scale.js";
import type { NonFinitePolicy, Side } from "../formats/format.js";
import { findFormat } from "../formats/registry.js";
import type { Kernels } from "../kernels/kernels.js";
import { createReferenceKernels } from "../kernels/reference.js";
import { loadWasmSync } from "../kernels/wasm.js";
import type { Geometry } from "./layout.js";

/** What a cache is made of. */
export interface KvCacheOptions {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Query heads, a multiple of kvHeads, for `attend`; may be given there instead. */
  readonly heads?: number;
  /** Tokens per page. */
  readonly pageTokens: number;
  /** Most pages in use at a time. Memory is taken when a page is first used. */
  readonly pages: number;
  /** A format's name, or one per layer (see `listFormats`). */
  readonly key: string | readonly string[];
  readonly value: string | readonly string[];
  /** Of rotations and sketches; the same for all layers. Default 0. */
  readonly seed?: Seed;
  /** "wasm" (default where the engine has WASM SIMD), "reference", or a backend whose memory is then shared. */
  readonly backend?: "reference" | "wasm" | Kernels;
  /** What to do with NaN, infinities and scales that do not fit. Default: reject. */
  readonly nonFinite?: NonFinitePolicy;
  /** Scale rules of our own formats. Default: by side, see ScaleRule. */
  readonly keyScale?: ScaleRule;
  readonly valueScale?: ScaleRule;
  /**
   * The mean key of each layer and head, (layers, kvHeads, headDim), before it turns with the position, and how it turns:
   * taken off every key before it is encoded, and added back to what is read and to scores. Stored with the cache.
   */
  readonly center?: Center;
  /** First tokens of every sequence that are kept in halves beside the packed pages; at most pageTokens. Default 0. */
  readonly sinks?: number;
  /**
   * Last tokens of every sequence that are kept in halves too, beside their codes, and read from there: 0 … 65536. A token's
   * code is made when it arrives and is read once it has left this window. Default 0.
   */
  readonly recent?: number;
  /** How exactly `attend` and `score` read packed vectors where they are not told: docs/attention.md. Default exact. Not stored. */
  readonly precision?: Precision;
}

/** The same, complete, and plain data but for the backend: what a snapshot records, all but `precision`. */
export interface CacheConfig extends Geometry {
  readonly heads: number | undefined;
  readonly key: readonly string[];
  readonly value: readonly string[];
  readonly seed: bigint;
  readonly nonFinite: NonFinitePolicy;
  readonly keyScale: ScaleRule | undefined;
  readonly valueScale: ScaleRule | undefined;
  readonly center: Center | undefined;
  /** Names the centre: SHA-256 of means and rope, "" without. */
  readonly centerDigest: string;
  readonly sinks: number;
  readonly recent: number;
  readonly precision: Precision;
}

/** Options that give this configuration. */
export const optionsOf = ({
  heads,
  keyScale,
  valueScale,
  center,
  centerDigest: _,
  ...config
}: CacheConfig): KvCacheOptions => ({
  ...config,
  ...(center ? { center } : {}),
  ...(heads === undefined ? {} : { heads }),
  ...(keyScale ? { keyScale } : {}),
  ...(valueScale ? { valueScale } : {}),
});

/** Largest number of any of a geometry's parts. */
const MOST = 1 << 24;

/** @throws TypeError, RangeError, FormatError UNKNOWN_FORMAT. */
export function checkOptions(options: KvCacheOptions): CacheConfig {
  if (typeof options !== "object" || options === null)
    throw new TypeError(`"options" expected an object, got ${options === null ? "null" : typeof options}`);
  const { layers, kvHeads, headDim, pageTokens, pages, seed = 0, nonFinite = "reject" } = options;
  assertInteger(layers, "layers", 1, 4096);
  assertInteger(kvHeads, "kvHeads", 1, 65536);
  assertInteger(headDim, "headDim", 1, 65536);
  if (options.heads !== undefined) assertHeads(options.heads, kvHeads);
  assertInteger(pageTokens, "pageTokens", 1, 65536);
  assertInteger(pages, "pages", 1, MOST);
  assertSeed(seed);
  assertOneOf(nonFinite, "nonFinite", ["reject", "sanitize"]);
  for (const name of ["keyScale", "valueScale"] as const)
    if (options[name] !== undefined) assertOneOf(options[name], name, SCALE_RULES);
  const { sinks = 0, recent = 0, precision = "exact" } = options;
  assertOneOf(precision, "precision", PRECISIONS);
  assertInteger(sinks, "sinks", 0, pageTokens);
  assertInteger(recent, "recent", 0, 65536);
  const center = options.center && checkCenter(options.center, layers * kvHeads * headDim, headDim);
  return {
    layers,
    kvHeads,
    heads: options.heads,
    headDim,
    pageTokens,
    pages,
    key: formats(options.key, "key", layers, headDim),
    value: formats(options.value, "value", layers, headDim),
    seed: BigInt(seed),
    nonFinite,
    keyScale: options.keyScale,
    valueScale: options.valueScale,
    center,
    centerDigest: center ? digestOf(center) : "",
    sinks,
    recent,
    precision,
  };
}

/** A checked copy. */
function checkCenter(center: unknown, length: number, headDim: number): Center {
  if (typeof center !== "object" || center === null)
    throw new TypeError(
      `"center" expected an object with means and rope, got ${center === null ? "null" : typeof center}`,
    );
  const { means, rope } = center as Partial<Center>;
  assertMeans(means, length);
  return { means: means.slice(), rope: rope === undefined ? undefined : checkRope(rope, headDim) };
}

function digestOf({ means, rope }: Center): string {
  const hash = sha256.create();
  hash.update(new Uint8Array(means.buffer, means.byteOffset, means.byteLength));
  hash.update(new TextEncoder().encode(JSON.stringify(rope ?? null)));
  return Array.from(hash.digest(), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @throws TypeError, RangeError unless a multiple of kvHeads. */
export function assertHeads(heads: unknown, kvHeads: number): asserts heads is number {
  assertInteger(heads, "heads", kvHeads, 1 << 20);
  if (heads % kvHeads !== 0) throw new RangeError(`"heads" expected a multiple of ${kvHeads}, got ${heads}`);
}

function formats(given: unknown, side: Side, layers: number, dim: number): readonly string[] {
  const names = typeof given === "string" ? Array.from({ length: layers }, () => given) : given;
  if (!Array.isArray(names))
    throw new TypeError(`"${side}" expected a format's name or one per layer, got ${typeof given}`);
  if (names.length !== layers)
    throw new RangeError(`"${side}" expected ${layers} formats, one per layer, got ${names.length}`);
  for (const name of names) {
    const format = findFormat(name);
    if (!format.supports(dim))
      throw new RangeError(`"headDim" expected ${format.dims} for ${name}, got ${dim}`);
  }
  return [...names];
}

export function openBackend(backend: KvCacheOptions["backend"]): Kernels {
  if (typeof backend === "object" && backend !== null) return backend;
  assertOneOf(backend ?? "wasm", "backend", ["reference", "wasm"]);
  return backend === "reference" ? createReferenceKernels() : loadWasmSync();
}
