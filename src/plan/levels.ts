/**
 * The levels of compression that planning chooses from, best quality first. Bytes are not here: they follow
 * from the types that the engine really gives each layer (layer-types.ts) and the formats' real sizes.
 */
import type { EngineType } from "./layer-types.js";

/** The name of a level. */
export type LevelName = "turbo4" | "turbo3" | "turbo2" | "q4_0";

/** A level: its cache types, layer mode and wanted headroom. */
export interface Level {
  readonly name: LevelName;
  /** Cache type for -ctk and -ctv. */
  readonly kvType: EngineType;
  /** TURBO_LAYER_ADAPTIVE. */
  readonly layerMode: number;
  /** GB (2^30 bytes) that must stay free beside weights and cache. */
  readonly headroomGb: number;
  readonly quality: string;
  /** Stored bits per value of the type itself at head size 128, every bit counted. */
  readonly bitsPerChannel: number;
  /** 16 / bitsPerChannel. */
  readonly compressionRatio: number;
  /** The old planner's figure: 20–40 % too low, shown for comparison only. */
  readonly nominalBits: number;
  /** Not a turbo type: never "what compresses most", only chosen when its headroom suffices. */
  readonly fallback: boolean;
  readonly note?: string;
}

const level = (entry: Omit<Level, "compressionRatio">): Level => ({
  ...entry,
  compressionRatio: 16 / entry.bitsPerChannel,
});

/** The levels, best quality first. */
export const LEVELS: readonly Level[] = [
  level({
    name: "turbo4",
    kvType: "turbo4",
    layerMode: 7,
    headroomGb: 4,
    quality: "best",
    bitsPerChannel: 4.25,
    nominalBits: 3.5,
    fallback: false,
  }),
  level({
    name: "turbo3",
    kvType: "turbo3",
    layerMode: 5,
    headroomGb: 3,
    quality: "good",
    bitsPerChannel: 3.125,
    nominalBits: 2.5,
    fallback: false,
  }),
  level({
    name: "turbo2",
    kvType: "turbo2",
    layerMode: 7,
    headroomGb: 2,
    quality: "reduced",
    bitsPerChannel: 2.125,
    nominalBits: 1.5,
    fallback: false,
    note: "the old planner set mode 3 here, which no engine has; mode 7 is used",
  }),
  level({
    name: "q4_0",
    kvType: "q4_0",
    layerMode: 0,
    headroomGb: 1.5,
    quality: "fallback, no turbo types",
    bitsPerChannel: 4.5,
    nominalBits: 4.5,
    fallback: true,
  }),
];

export const LEVEL_NAMES: readonly LevelName[] = LEVELS.map((entry) => entry.name);
