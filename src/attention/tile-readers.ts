/** The readers of a turbo format below "exact": one of keys for each method, one of values for each width of levels. */
import type { LevelBytes } from "../kernels/integers.js";
import type { Precision } from "./readers.js";
import type { SideCodec } from "./side-codec.js";
import type { TileFormat } from "./tile-format.js";
import { type KeyMethod, keyMethod, TileKeys } from "./tile-keys.js";
import { TileValues, valueLevels } from "./tile-values.js";

export class TileReaders {
  readonly all: readonly (TileKeys | TileValues)[];
  readonly #keys: Readonly<Record<KeyMethod, TileKeys>>;
  readonly #values: Readonly<Record<LevelBytes, TileValues>>;

  constructor(format: TileFormat, codec: SideCodec) {
    this.#keys = {
      tables8: new TileKeys(format, codec, "tables8"),
      tables16: new TileKeys(format, codec, "tables16"),
      integers: new TileKeys(format, codec, "integers"),
    };
    this.#values = { 1: new TileValues(format, 1), 2: new TileValues(format, 2) };
    this.all = [...Object.values(this.#keys), ...Object.values(this.#values)];
  }

  keys(precision: Exclude<Precision, "exact">, group: number): TileKeys {
    return this.#keys[keyMethod(precision, group)];
  }

  values(precision: Exclude<Precision, "exact">, group: number): TileValues {
    return this.#values[valueLevels(precision, group)];
  }
}
