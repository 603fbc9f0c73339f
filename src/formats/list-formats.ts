/** The registry as plain data, for people, machines and documentation. */
import type { Format } from "./format.js";
import { allFormats, bitsPerValue } from "./registry.js";

const DIMS = [64, 128, 256] as const;
type ByDim = Readonly<Partial<Record<(typeof DIMS)[number], number>>>;

/** One row of `listFormats`. */
export interface FormatListing {
  readonly name: string;
  readonly family: string;
  /** Which dimensions it takes, in words. */
  readonly dims: string;
  /** At dim 64, 128 and 256, where supported; keys' bytes where the sides differ. */
  readonly bytesPerVector: ByDim;
  readonly bitsPerValue: ByDim;
  /** Values' bytes, for formats whose sides differ. */
  readonly valueBytesPerVector?: ByDim;
  readonly verified: string;
  readonly source: string;
}

/** Every format with what it costs, every stored bit counted. */
export function listFormats(): FormatListing[] {
  return allFormats().map((format) => {
    const at = (of: (dim: number) => number): ByDim =>
      Object.fromEntries(DIMS.filter((dim) => format.supports(dim)).map((dim) => [dim, of(dim)]));
    const values = at((dim) => format.vectorBytes(dim, "value"));
    const { name, family, dims, verified, source } = format;
    return {
      name,
      family,
      dims,
      bytesPerVector: at((dim) => format.vectorBytes(dim)),
      bitsPerValue: at((dim) => bitsPerValue(format, dim)),
      ...(sidesDiffer(format) ? { valueBytesPerVector: values } : {}),
      verified,
      source,
    };
  });
}

const sidesDiffer = (format: Format): boolean =>
  DIMS.some(
    (dim) => format.supports(dim) && format.vectorBytes(dim, "key") !== format.vectorBytes(dim, "value"),
  );
