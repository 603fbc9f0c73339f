/**
 * Level selection: the first level, best quality first, whose headroom suffices; if none fits, the turbo level
 * that compresses this model most, with a warning. Pure: hardware and byte counter are passed in.
 */
import { assertInteger, assertOneOf } from "../core/check.js";
import { registryBytes } from "./engine-bytes.js";
import { type Hardware, type MemoryPool, memoryPool } from "./hardware.js";
import { bitsPerValue, GIB, kvBytes, kvCounter, MIB, nominalKvBytes, type VectorBytes } from "./kv-bytes.js";
import { formatsOf, type ResolvedLayers, resolveLayers } from "./layer-types.js";
import { LEVEL_NAMES, LEVELS, type Level, type LevelName } from "./levels.js";
import type { ModelShape } from "./model-shape.js";

/** Model, context and machine to plan for. */
export interface PlanRequest {
  readonly model: ModelShape;
  /** Tokens. */
  readonly context: number;
  readonly hardware: Hardware;
  readonly prefer?: LevelName;
  readonly forceCpu?: boolean;
  /** TURBO_AUTO_ASYMMETRIC; the engine's default is on. */
  readonly autoAsymmetric?: boolean;
  readonly vectorBytes?: VectorBytes;
}

/** One level for this model, context and memory. */
export interface LevelPlan {
  readonly level: Level;
  readonly layers: ResolvedLayers;
  readonly kvBytes: number;
  /** Average over this model's layers as the engine stores them. */
  readonly bitsPerValue: number;
  /** usable − weights − cache; negative when overcommitted. */
  readonly headroomBytes: number;
  readonly fits: boolean;
  /** Most tokens that leave this level's headroom; a multiple of 256, 0 when not even that fits. */
  readonly longestContext: number;
  readonly nominalKvBytes: number;
}

/** Every level against this machine, the chosen one, and its flags. */
export interface Plan {
  readonly chosen: LevelPlan;
  readonly levels: readonly LevelPlan[];
  readonly pool: MemoryPool;
  readonly model: ModelShape;
  readonly context: number;
  readonly f16Bytes: number;
  readonly reason: string;
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly serverFlags: readonly string[];
}

/** @throws TypeError, RangeError for bad counts and for a model whose weights are unknown. */
export function planLevel(request: PlanRequest): Plan {
  const { model, context, hardware } = request;
  assertInteger(context, "context", 1, 2 ** 31);
  if (request.prefer !== undefined) assertOneOf(request.prefer, "prefer", LEVEL_NAMES);
  const weights = weightsOf(model);
  const pool = memoryPool(hardware, request.forceCpu === undefined ? {} : { forceCpu: request.forceCpu });
  const levels = LEVELS.map((level) => levelPlan(level, request, pool.usableBytes - weights));
  const forced = levels.find((entry) => entry.level.name === request.prefer);
  const chosen = forced ?? levels.find((entry) => entry.fits) ?? mostCompressing(levels);
  const f16Bytes = kvBytes(model, f16Types(model), context, request.vectorBytes ?? registryBytes).total;
  return {
    chosen,
    levels,
    pool,
    model,
    context,
    f16Bytes,
    reason: reasonOf(chosen, { hardware, pool, weights, context, forced: forced !== undefined }),
    warnings: warningsOf(chosen, levels, request),
    notes: [
      ...(chosen.level.note ? [chosen.level.note] : []),
      ...chosen.layers.changes,
      ...paddingNotes(chosen, levels),
      ...limitNotes(chosen, request, pool, weights),
      ...model.assumed,
      ...hardware.notes,
    ],
    env: environment(chosen, request.autoAsymmetric),
    serverFlags: ["-ctk", chosen.level.kvType, "-ctv", chosen.level.kvType, "-c", String(context)],
  };
}

function weightsOf(model: ModelShape): number {
  if (model.weightBytes === null || !(model.weightBytes > 0))
    throw new RangeError(`"weightBytes" expected the size of the model's weights, got ${model.weightBytes}`);
  return model.weightBytes;
}

const f16Types = (model: ModelShape) => {
  const f16 = model.layers.map(() => "ggml/f16");
  return { keys: f16, values: f16 };
};

function levelPlan(level: Level, request: PlanRequest, room: number): LevelPlan {
  const { model, context } = request;
  const vectorBytes = request.vectorBytes ?? registryBytes;
  const layers = levelLayers(level, model, request.autoAsymmetric);
  const types = formatsOf(layers);
  const count = kvCounter(model, types, vectorBytes);
  const bytes = count(context).total;
  const headroomBytes = room - bytes;
  const need = level.headroomGb * GIB;
  return {
    level,
    layers,
    kvBytes: bytes,
    bitsPerValue: bitsPerValue(model, types, vectorBytes),
    headroomBytes,
    fits: headroomBytes >= need,
    longestContext: longestContext((tokens) => count(tokens).total, room - need),
    nominalKvBytes: nominalKvBytes(model, context, level.nominalBits),
  };
}

/** The types that a level gives each layer of this model. */
export function levelLayers(level: Level, model: ModelShape, autoAsymmetric = true): ResolvedLayers {
  return resolveLayers({
    mode: level.layerMode,
    typeK: level.kvType,
    typeV: level.kvType,
    layers: model.layers.length,
    heads: model.heads,
    kvHeads: model.kvHeads,
    autoAsymmetric,
  });
}

/** Most tokens, a multiple of 256 (llama-server rounds up to one), whose cache takes at most `room` bytes. */
export function longestContext(bytesAt: (tokens: number) => number, room: number): number {
  const STEP = 256;
  const LIMIT = 2 ** 22; // 2^30 tokens
  if (!(room >= bytesAt(STEP))) return 0;
  let fits = 1;
  let over = LIMIT;
  if (bytesAt(LIMIT * STEP) <= room) return LIMIT * STEP;
  while (over - fits > 1) {
    const middle = Math.floor((fits + over) / 2);
    if (bytesAt(middle * STEP) <= room) fits = middle;
    else over = middle;
  }
  return fits * STEP;
}

/** Fewest bytes among the turbo levels; of equals the later one. */
function mostCompressing(levels: readonly LevelPlan[]): LevelPlan {
  return levels
    .filter((entry) => !entry.level.fallback)
    .reduce((best, entry) => (entry.kvBytes <= best.kvBytes ? entry : best));
}

const gb = (bytes: number): string =>
  Math.abs(bytes) < GIB / 10 ? `${(bytes / MIB).toFixed(1)} MB` : `${(bytes / GIB).toFixed(1)} GB`;

interface ReasonParts {
  readonly hardware: Hardware;
  readonly pool: MemoryPool;
  readonly weights: number;
  readonly context: number;
  readonly forced: boolean;
}

function reasonOf(chosen: LevelPlan, { hardware, pool, weights, context, forced }: ReasonParts): string {
  const where = hardware.chip && pool.kind !== "nvidia" ? `${hardware.chip}, ${pool.label}` : pool.label;
  const why = forced
    ? "as asked"
    : chosen.fits
      ? `leaves ${chosen.level.headroomGb} GB or more`
      : "compresses most; no level leaves its headroom";
  const memory =
    pool.usableBytes === pool.totalBytes
      ? gb(pool.totalBytes)
      : `${gb(pool.totalBytes)}, ${gb(pool.usableBytes)} usable`;
  return (
    `${where} (${memory}): ${chosen.level.name} ${why}; weights ${gb(weights)} + cache ${gb(chosen.kvBytes)} ` +
    `at ${context.toLocaleString("en-US")} tokens, headroom ${gb(chosen.headroomBytes)}.`
  );
}

function warningsOf(chosen: LevelPlan, levels: readonly LevelPlan[], request: PlanRequest): string[] {
  const { model, context, prefer } = request;
  const warnings: string[] = [];
  if (chosen.headroomBytes < 0)
    warnings.push(
      `OVERCOMMITTED: ${gb(-chosen.headroomBytes)} more than there is; expect swapping or a crash`,
    );
  else if (chosen.headroomBytes < 2 * GIB)
    warnings.push(`headroom is below 2 GB (${gb(chosen.headroomBytes)}): compute buffers may not fit`);
  else if (!chosen.fits)
    warnings.push(
      `${chosen.level.name} wants ${chosen.level.headroomGb} GB of headroom, there is ${gb(chosen.headroomBytes)}`,
    );
  if (prefer === undefined && !chosen.fits) {
    const longest = chosen.longestContext;
    const instead = longest === 0 ? "nor at any other" : `${chosen.level.name} fits up to ${longest} tokens`;
    warnings.push(`no level fits at this context; ${instead}`);
    const smaller = levels.find((entry) => entry.level.fallback && entry.kvBytes < chosen.kvBytes);
    if (smaller) warnings.push(`${smaller.level.name} would take less: ${gb(smaller.kvBytes)}`);
  }
  if (model.trainedContext !== null && context > model.trainedContext)
    warnings.push(`the model was trained for ${model.trainedContext} tokens, ${context} are asked for`);
  return warnings;
}

/** The fork pads turbo heads to a multiple of 128: with small heads a plain 4-bit type can be smaller. */
function paddingNotes(chosen: LevelPlan, levels: readonly LevelPlan[]): string[] {
  const smaller = levels.find((entry) => entry.level.fallback && entry.kvBytes <= chosen.kvBytes);
  if (!smaller || chosen.level.fallback) return [];
  return [
    `for this model ${smaller.level.name} takes no more (${gb(smaller.kvBytes)}, ${chosen.level.name} ${gb(chosen.kvBytes)}): padded heads or q8_0 keys cost more than ${chosen.level.name} saves`,
  ];
}

/** Limits other than the pool's: what the model was trained for, what a Mac has free at this moment. */
function limitNotes(chosen: LevelPlan, request: PlanRequest, pool: MemoryPool, weights: number): string[] {
  const { model, hardware } = request;
  const notes: string[] = [];
  if (model.trainedContext !== null && chosen.longestContext > model.trainedContext)
    notes.push(`longer contexts fit than the ${model.trainedContext} tokens that the model was trained for`);
  if (pool.kind === "apple" && hardware.availableBytes < weights + chosen.kvBytes)
    notes.push(
      `only ${gb(hardware.availableBytes)} are available at this moment: close other programs first`,
    );
  return notes;
}

function environment(chosen: LevelPlan, autoAsymmetric: boolean | undefined): Record<string, string> {
  const env: Record<string, string> = { TURBO_LAYER_ADAPTIVE: String(chosen.level.layerMode) };
  if (autoAsymmetric === false) env.TURBO_AUTO_ASYMMETRIC = "0";
  return env;
}

/** Cache and headroom of every level at several contexts, for the same model and memory. */
export function contextTable(
  request: Omit<PlanRequest, "context" | "prefer">,
  contexts: readonly number[],
): { context: number; levels: readonly LevelPlan[]; choice: LevelName; chosenFits: boolean }[] {
  return contexts.map((context) => {
    const { levels, chosen } = planLevel({ ...request, context });
    return { context, levels, choice: chosen.level.name, chosenFits: chosen.fits };
  });
}
