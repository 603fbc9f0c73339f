/**
 * The test-suite of the Rust crate, ported by behaviour. Each of its 308 tests is one `it` here, named
 * file::test as there; tests that say the same share a body. Where an upstream test asserts little or nothing, the
 * body asserts the numbers that the crate really gives. Caches are 16 tokens × 8 heads × 64 dims.
 */
import { expect, it } from "vitest";
import {
  type KvQuantType,
  PagedKvCache,
  PageId,
  QuantizedKvData,
  QuantizedKvPage,
  QuantizedPagedKvCache,
  RealizarCacheError,
  type RealizarErrorDetail,
} from "../../../src/compat/realizar/index.js";

/** One `it` per upstream test. */
export function upstream(names: string | readonly string[], run: () => void): void {
  for (const name of [names].flat()) it(name, run);
}

export const plain = (pages = 100): PagedKvCache => new PagedKvCache(pages, 16, 8, 64);
export const quantized = (type: KvQuantType, pages = 100): QuantizedPagedKvCache =>
  new QuantizedPagedKvCache(pages, 16, 8, 64, type);
export const dataOf = (type: KvQuantType): QuantizedKvData => new QuantizedKvData(type, 16, 8, 64);
export const pageOf = (type: KvQuantType): QuantizedKvPage =>
  new QuantizedKvPage(new PageId(0), type, 16, 8, 64);

/** f32 keys and values of one page, in bytes. */
export const PAGE_BYTES = 65_536;
/** Values of one token; values of one side of a page. */
export const TOKEN = 512;
export const SIDE = 8_192;

/** `length` f32 values, f of the index. */
export const floats = (length: number, f: (i: number) => number): Float32Array =>
  Float32Array.from({ length }, (_, i) => f(i));

/** Runs what must fail with exactly this variant and these fields. */
export function expectFailure(run: () => unknown, detail: RealizarErrorDetail): void {
  let caught: unknown;
  try {
    run();
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(RealizarCacheError);
  expect((caught as RealizarCacheError).detail).toEqual(detail);
}

/** max |a − b| */
export const worst = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (v, i) => Math.abs(v - b[i]!)));
