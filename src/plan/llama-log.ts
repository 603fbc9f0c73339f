/**
 * KV cache sizes that llama-server (or any llama.cpp tool) prints at start:
 *
 *   llama_kv_cache: size = 2720.00 MiB ( 65536 cells, 40 layers, 1/1 seqs), K (turbo4): 1360.00 MiB, V (turbo4): 1360.00 MiB
 *
 * Log prefixes, the older names (`llama_kv_cache_unified`, `llama_kv_cache_init`) and lines without the split by
 * side are read too. "s/n seqs": at most s sequences in n streams, and each stream has its own cells.
 */

import { kvBytes, type LayerTypes, MIB, type VectorBytes } from "./kv-bytes.js";
import type { ModelShape } from "./model-shape.js";

/** What llama-server prints about its cache. */
export interface CacheLine {
  readonly mib: number;
  readonly cells: number;
  readonly layers: number;
  readonly streams: number;
  readonly typeK: string | null;
  readonly typeV: string | null;
  readonly keyMib: number | null;
  readonly valueMib: number | null;
}

const SIZE =
  /llama_kv_cache\w*:\s*(?:KV self )?size\s*=\s*([\d.]+) MiB\s*\(\s*(\d+) cells,\s*(\d+) layers,\s*(\d+)(?:\/\s*(\d+))? seqs\)(.*)$/;
const SIDE = (side: "K" | "V") => new RegExp(`\\b${side} \\(([\\w.]+)\\):\\s*([\\d.]+) MiB`);

/** Every cache of a log in order; a model with sliding windows has two. */
export function parseCacheLines(log: string): CacheLine[] {
  const lines: CacheLine[] = [];
  for (const line of log.split(/\r?\n/)) {
    const match = SIZE.exec(line);
    if (!match) continue;
    const [, mib, cells, layers, , streams, rest] = match;
    const key = SIDE("K").exec(rest!);
    const value = SIDE("V").exec(rest!);
    lines.push({
      mib: Number(mib),
      cells: Number(cells),
      layers: Number(layers),
      streams: Number(streams ?? 1),
      typeK: key?.[1] ?? null,
      typeV: value?.[1] ?? null,
      keyMib: key ? Number(key[2]) : null,
      valueMib: value ? Number(value[2]) : null,
    });
  }
  return lines;
}

export interface CacheComparison {
  readonly line: CacheLine;
  readonly calculatedMib: number;
  /** measured / calculated − 1. */
  readonly difference: number;
  /** Within the 15 % that the quality gate allows. */
  readonly within: boolean;
}

/** §5.1: measured against calculated. */
export const MEMORY_TOLERANCE = 0.15;

/**
 * A log line against what the model's layers take. Which layers a line is for follows from its count: all cached
 * layers, or those with, or those without a sliding window. Null when the count fits none of these.
 */
export function compareCacheLine(
  line: CacheLine,
  model: ModelShape,
  types: LayerTypes,
  vectorBytes: VectorBytes,
): CacheComparison | null {
  const groups = [
    model.layers,
    model.layers.map((layer) => (layer?.window == null ? layer : null)),
    model.layers.map((layer) => (layer?.window == null ? null : layer)),
  ];
  const layers = groups.find((group) => group.filter((layer) => layer !== null).length === line.layers);
  if (!layers) return null;
  const open = { ...model, layers: layers.map((layer) => layer && { ...layer, window: null }) };
  const bytes = kvBytes(open, types, line.cells, vectorBytes).total * line.streams;
  const calculatedMib = bytes / MIB;
  const difference = line.mib / calculatedMib - 1;
  return { line, calculatedMib, difference, within: Math.abs(difference) <= MEMORY_TOLERANCE };
}

/** The bytes of one cell that a line implies, over all its layers. */
export const cellBytes = (line: CacheLine): number => (line.mib * MIB) / (line.cells * line.streams);
