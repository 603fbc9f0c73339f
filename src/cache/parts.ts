/** The parts of a cache, as the modules of this folder see them, and how they are put together. */
import { openSide } from "../attention/open-side.js";
import type { SideCodec } from "../attention/side-codec.js";
import type { SideRequest } from "../attention/threaded.js";
import type { Side } from "../formats/format.js";
import type { Kernels } from "../kernels/kernels.js";
import { Encoder } from "./encoder.js";
import { KeyCenter } from "./key-center.js";
import { PageLayout } from "./layout.js";
import { type CacheConfig, checkOptions, type KvCacheOptions, openBackend } from "./options.js";
import { PageTables } from "./page-tables.js";
import { PageVectors } from "./page-vectors.js";
import { PrefixIndex } from "./prefix.js";
import { RecentBlocks } from "./recent.js";
import { SinkBlocks } from "./sinks.js";

export interface CacheParts {
  readonly config: CacheConfig;
  readonly layout: PageLayout;
  readonly vectors: PageVectors;
  readonly tables: PageTables;
  readonly prefixes: PrefixIndex;
  readonly encoder: Encoder;
  readonly kernels: Kernels;
  readonly codecs: LayerCodecs;
  readonly sinks: SinkBlocks;
  readonly recent: RecentBlocks;
  readonly center: KeyCenter | undefined;
}

/** The codec of each layer's side; layers of the same format share one. */
export interface LayerCodecs {
  readonly key: readonly SideCodec[];
  readonly value: readonly SideCodec[];
  readonly distinct: readonly SideCodec[];
  /** How each of those was opened. */
  readonly requests: readonly SideRequest[];
}

/** @throws TypeError, RangeError, FormatError UNKNOWN_FORMAT. */
export function openParts(options: KvCacheOptions): CacheParts {
  const config = checkOptions(options);
  const kernels = openBackend(options.backend);
  const codecs = openCodecs(config, kernels);
  const layout = new PageLayout(config, (layer, side) => codecs[side][layer]!.stride);
  if (layout.pageBytes * config.pages > 2 ** 32)
    throw new RangeError(
      `"pages" expected at most ${Math.floor(2 ** 32 / layout.pageBytes)} of ${layout.pageBytes} bytes (4 GiB), got ${config.pages}`,
    );
  const prefixes = new PrefixIndex(config.pageTokens);
  const sinks = new SinkBlocks(kernels.arena, config, config.sinks);
  const vectors = new PageVectors(kernels.arena, config, layout, (layer, side) => codecs[side][layer]!.store);
  const recent = new RecentBlocks(kernels.arena, config, config.recent);
  const tables = new PageTables(kernels.arena, config, vectors, prefixes, sinks, recent);
  prefixes.bind(tables.pages);
  const encoder = new Encoder(kernels, config.headDim, config.nonFinite);
  const center = config.center && new KeyCenter(config.center, config.kvHeads, config.headDim);
  return { config, layout, vectors, tables, prefixes, encoder, kernels, codecs, sinks, recent, center };
}

function openCodecs(config: CacheConfig, kernels: Kernels): LayerCodecs {
  const { headDim: dim, seed, keyScale, valueScale, pageTokens } = config;
  const opened = new Map<string, SideCodec>();
  const requests: SideRequest[] = [];
  const open = (format: string, side: Side): SideCodec => {
    const scale = side === "key" ? keyScale : valueScale;
    let codec = opened.get(`${side} ${format}`);
    if (!codec) {
      const request = { format, dim, seed, side, pageTokens, ...(scale ? { scale } : {}) };
      codec = openSide(format, kernels, request);
      opened.set(`${side} ${format}`, codec);
      requests.push(request);
    }
    return codec;
  };
  const key = config.key.map((format) => open(format, "key"));
  const value = config.value.map((format) => open(format, "value"));
  return { key, value, distinct: [...opened.values()], requests };
}
