/** The readers of a turbo format below "exact": one of keys for each method, one of values. */
import type { Precision } from "./readers.js";
import type { SideCodec } from "./side-codec.js";
import type { TileFormat } from "./tile-format.js";
import { type KeyMethod, keyMethod, TileKeys } from "./tile-keys.js";
import { TileValues } from "./tile-values.js";

export class TileReaders {
  readonly all: readonly (TileKeys | TileValues)[];
  readonly values: TileValues;
  readonly #keys: Readonly<Record<KeyMethod, TileKeys>>;

  constructor(format: TileFormat, codec: SideCodec) {
    this.#keys = {
      tables8: new TileKeys(format, codec, "tables8"),
      tables16: new TileKeys(format, codec, "tables16"),
      integers: new TileKeys(format, codec, "integers"),
    };
    this.values = new TileValues(format);
    this.all = [...Object.values(this.#keys), this.values];
  }

  keys(precision: Exclude<Precision, "exact">, group: number): TileKeys {
    return this.#keys[keyMethod(precision, group)];
  }
}
