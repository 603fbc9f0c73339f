/**
 * Which type each layer of the llama.cpp fork really gets (TheTom/llama-cpp-turboquant, commit 69d8e4be4,
 * src/llama-kv-cache.cpp): TURBO_AUTO_ASYMMETRIC first, then TURBO_LAYER_ADAPTIVE. Every silent change that
 * the engine makes to what was asked for is named.
 */
import { assertInteger, assertOneOf } from "../core/check.js";
import type { LayerTypes } from "./kv-bytes.js";

/** Cache types of llama-server (-ctk, -ctv) that are planned for. */
export const ENGINE_TYPES = [
  "f32",
  "f16",
  "q8_0",
  "q5_1",
  "q5_0",
  "q4_1",
  "q4_0",
  "turbo4",
  "turbo3",
  "turbo2",
] as const;
/** A cache type of the engine. */
export type EngineType = (typeof ENGINE_TYPES)[number];

export const isTurbo = (type: string): boolean => /^turbo[234]$/.test(type);

/** The registry name of an engine type: the bytes are those of ggml and of the fork. */
export const formatOf = (type: EngineType): string =>
  type === "f32" ? "f32" : isTurbo(type) ? `llama/${type}` : `ggml/${type}`;

/** Cache types and the layer mode that is asked for. */
export interface LayerRequest {
  /** TURBO_LAYER_ADAPTIVE; null = not set. */
  readonly mode: number | null;
  readonly typeK: EngineType;
  readonly typeV: EngineType;
  readonly layers: number;
  /** Query heads of layer 0; null when unknown: the auto-asymmetric rule is then not applied, and this is said. */
  readonly heads: number | null;
  readonly kvHeads: number;
  /** TURBO_AUTO_ASYMMETRIC; the engine's default is on. */
  readonly autoAsymmetric?: boolean;
}

/** The types that each layer really gets, and why. */
export interface ResolvedLayers {
  readonly keys: readonly EngineType[];
  readonly values: readonly EngineType[];
  /** The mode that is in force (7 for turbo2 values when none is set), also where it has no effect. */
  readonly mode: number;
  /** True when the mode changes at least one layer. */
  readonly modeActs: boolean;
  /** typeK after the auto-asymmetric rule. */
  readonly typeK: EngineType;
  /** What the engine changes without saying, one sentence each. */
  readonly changes: readonly string[];
}

/** Below this many layers the modes have no effect. */
const LEAST_LAYERS = 8;
/** Query heads per KV head from which turbo keys become q8_0. */
const ASYMMETRIC_RATIO = 6;

/** @throws TypeError, RangeError for unknown types and counts that are not positive integers. */
export function resolveLayers(request: LayerRequest): ResolvedLayers {
  assertInteger(request.layers, "layers", 1, 10_000);
  assertInteger(request.kvHeads, "kvHeads", 1, 100_000);
  if (request.heads !== null) assertInteger(request.heads, "heads", 1, 100_000);
  if (request.mode !== null) assertInteger(request.mode, "mode", -(2 ** 31), 2 ** 31 - 1);
  assertOneOf(request.typeK, "typeK", ENGINE_TYPES);
  assertOneOf(request.typeV, "typeV", ENGINE_TYPES);
  const changes: string[] = [];
  const n = request.layers;
  const typeV = request.typeV;
  const typeK = asymmetricKey(request, changes);

  const unset = request.mode === null;
  const mode = request.mode ?? (typeV === "turbo2" && n >= LEAST_LAYERS ? 7 : 0);
  if (unset && mode === 7)
    changes.push("TURBO_LAYER_ADAPTIVE is not set and the values are turbo2: the engine turns mode 7 on");
  if (mode !== 0 && ![1, 2, 5, 6, 7].includes(mode))
    changes.push(`mode ${mode} does not exist in the engine: it does nothing`);

  const keys: EngineType[] = Array(n).fill(typeK);
  const values: EngineType[] = Array(n).fill(typeV);
  const edge = (il: number, width: number): boolean => il < width || il >= n - width;
  const last8 = (il: number): boolean => il >= n - 8;
  const acts = n >= LEAST_LAYERS;
  for (let il = 0; acts && il < n; il++) {
    if (isTurbo(typeK) && ((mode === 1 && edge(il, 4)) || (mode === 2 && last8(il)))) {
      keys[il] = "q8_0";
      values[il] = "q8_0";
    }
    if (!isTurbo(typeV)) continue;
    if (mode === 5) values[il] = edge(il, 2) ? "turbo4" : "turbo2";
    if (mode === 6) values[il] = last8(il) ? "turbo4" : "turbo2";
    if (mode === 7) values[il] = edge(il, 2) ? "q8_0" : "turbo2";
  }
  explainMode(mode, { n, typeK, typeV, askedK: request.typeK, values }, changes);
  const modeActs = keys.some((type) => type !== typeK) || values.some((type) => type !== typeV);
  return { keys, values, mode, modeActs, typeK, changes };
}

function asymmetricKey(request: LayerRequest, changes: string[]): EngineType {
  const { typeK, typeV, heads, kvHeads } = request;
  if (!isTurbo(typeK) || typeK !== typeV || request.autoAsymmetric === false) return typeK;
  if (heads === null) {
    changes.push(
      `the number of query heads is unknown: with ${ASYMMETRIC_RATIO} or more per KV head the engine would store the keys as q8_0`,
    );
    return typeK;
  }
  if (Math.floor(heads / kvHeads) < ASYMMETRIC_RATIO) return typeK;
  changes.push(
    `${heads} query heads share ${kvHeads} KV heads (${Math.floor(heads / kvHeads)}:1): the engine stores the keys as q8_0 instead of ${typeK} (TURBO_AUTO_ASYMMETRIC=0 turns this off)`,
  );
  return "q8_0";
}

interface Applied {
  readonly n: number;
  readonly typeK: EngineType;
  readonly typeV: EngineType;
  readonly askedK: EngineType;
  readonly values: readonly EngineType[];
}

function explainMode(mode: number, { n, typeK, typeV, askedK, values }: Applied, changes: string[]): void {
  if (![1, 2, 5, 6, 7].includes(mode)) return;
  if (n < LEAST_LAYERS) {
    changes.push(`mode ${mode} has no effect on a model with ${n} layers (it needs ${LEAST_LAYERS})`);
    return;
  }
  if (mode <= 2) {
    if (!isTurbo(typeK)) {
      const why = isTurbo(askedK) ? "the auto-asymmetric rule has made the keys q8_0" : `keys are ${typeK}`;
      changes.push(`mode ${mode} has no effect: ${why}, and it acts on turbo keys only`);
    } else {
      const where = mode === 1 ? "the first 4 and last 4 layers" : "the last 8 layers";
      changes.push(`mode ${mode} stores keys and values of ${where} as q8_0`);
    }
    return;
  }
  if (!isTurbo(typeV)) {
    changes.push(`mode ${mode} has no effect: values are ${typeV}, and it acts on turbo values only`);
    return;
  }
  const middle = values.filter((type) => type === "turbo2").length;
  const better = mode === 7 ? "q8_0" : "turbo4";
  const where = mode === 6 ? "the last 8 layers" : "the first 2 and last 2 layers";
  changes.push(`mode ${mode} stores the values of ${where} as ${better}`);
  if (typeV !== "turbo2" && middle > 0)
    changes.push(
      `mode ${mode} stores the values of the other ${middle} layers as turbo2, although ${typeV} was asked for`,
    );
}

/** The same layers under the names of the format registry. */
export function formatsOf(layers: Pick<ResolvedLayers, "keys" | "values">): LayerTypes {
  return { keys: layers.keys.map(formatOf), values: layers.values.map(formatOf) };
}
