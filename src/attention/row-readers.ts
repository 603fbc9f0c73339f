/**
 * The exact readers of a format: rows are read as they are, or decoded to f32 a tile at a time from so many query heads
 * per head of keys on, so that a row is unpacked once for all of them.
 */
import type { Kernels } from "../kernels/kernels.js";
import { RowKeys } from "./row-keys.js";
import { RowValues } from "./row-values.js";
import type { SideCodec } from "./side-codec.js";

export class RowReaders {
  readonly all: readonly (RowKeys | RowValues)[];
  readonly #keys: readonly [RowKeys, RowKeys];
  readonly #values: readonly [RowValues, RowValues];

  /** stageFrom: query heads per head of keys from which on rows are decoded; never: Infinity. */
  constructor(
    kernels: Kernels,
    codec: SideCodec,
    readonly stageFrom: number,
  ) {
    this.#keys = [new RowKeys(kernels, codec, false), new RowKeys(kernels, codec, true)];
    this.#values = [new RowValues(kernels, codec, false), new RowValues(kernels, codec, true)];
    this.all = [this.#keys, this.#values].flatMap(([plain, staged]) => [
      ...(stageFrom > 1 ? [plain] : []),
      ...(stageFrom < Number.POSITIVE_INFINITY ? [staged] : []),
    ]);
  }

  keys(group: number): RowKeys {
    return this.#keys[group >= this.stageFrom ? 1 : 0];
  }
  values(group: number): RowValues {
    return this.#values[group >= this.stageFrom ? 1 : 0];
  }
}
