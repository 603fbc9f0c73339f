/** What to start an engine with for a choice of layer mode and cache types: environment, flags, vLLM's name. */
import {
  type EngineType,
  isTurbo,
  type LayerRequest,
  type ResolvedLayers,
  resolveLayers,
} from "./layer-types.js";

/** The backends of llama.cpp by name. */
export const BACKENDS = ["cuda", "metal", "vulkan", "cpu"] as const;
/** A backend of llama.cpp. */
export type Backend = (typeof BACKENDS)[number];

/** Types layer by layer, with the environment and flags that make the engine use them. */
export interface EngineProfile {
  readonly layers: ResolvedLayers;
  readonly env: Readonly<Record<string, string>>;
  readonly serverFlags: readonly string[];
  readonly vllm: { readonly dtype: string | null; readonly note: string };
  /** Where a pair of types has no attention kernel on a backend. */
  readonly backendNotes: readonly string[];
}

/** @throws TypeError, RangeError as resolveLayers. */
export function engineProfile(
  request: LayerRequest & { headDim?: number; backend?: Backend },
): EngineProfile {
  const layers = resolveLayers(request);
  const env: Record<string, string> = {};
  if (request.mode !== null) env.TURBO_LAYER_ADAPTIVE = String(request.mode);
  if (request.autoAsymmetric === false) env.TURBO_AUTO_ASYMMETRIC = "0";
  const turbo = isTurbo(request.typeK) || isTurbo(request.typeV);
  const quantized = ![request.typeK, request.typeV].every((type) => type === "f16" || type === "f32");
  return {
    layers,
    env,
    serverFlags: ["-ctk", request.typeK, "-ctv", request.typeV, ...(quantized ? ["-fa", "on"] : [])],
    vllm: vllmType(layers, request.headDim ?? 128),
    backendNotes:
      turbo && request.backend ? backendNotes(layers, request.headDim ?? 128, request.backend) : [],
  };
}

/** The vLLM preset with the same bits a side; the bytes are other ones. */
const VLLM: Readonly<Record<string, { dtype: string; note: string }>> = {
  "f16/f16": { dtype: "auto", note: "the model's own 16-bit type" },
  "q8_0/turbo4": { dtype: "turboquant_k8v4", note: "keys FP8 instead of q8_0, values 4-bit min–max" },
  "q8_0/q4_0": { dtype: "turboquant_k8v4", note: "keys FP8 instead of q8_0, values 4-bit min–max" },
  "turbo4/turbo4": {
    dtype: "turboquant_4bit_nc",
    note: "4-bit keys and values; values are not rotated there",
  },
  "turbo3/turbo4": {
    dtype: "turboquant_k3v4_nc",
    note: "3-bit keys, 4-bit values; values are not rotated there",
  },
  "turbo3/turbo3": {
    dtype: "turboquant_3bit_nc",
    note: "3-bit keys and values; values are not rotated there",
  },
};

function vllmType(layers: ResolvedLayers, headDim: number): { dtype: string | null; note: string } {
  const pairs = new Set(layers.keys.map((key, il) => `${key}/${layers.values[il]}`));
  if (pairs.size > 1) return { dtype: null, note: "layers differ; a vLLM preset is the same on every layer" };
  const found = VLLM[[...pairs][0]!];
  if (!found) return { dtype: null, note: `vLLM has no preset with ${[...pairs][0]}` };
  if (found.dtype !== "auto" && (headDim & (headDim - 1)) !== 0)
    return { dtype: null, note: `vLLM's presets take head sizes that are powers of two, not ${headDim}` };
  return found;
}

function backendNotes(layers: ResolvedLayers, headDim: number, backend: Backend): string[] {
  const notes = new Set<string>();
  const padded = (type: EngineType): number => (isTurbo(type) ? Math.ceil(headDim / 128) * 128 : headDim);
  layers.keys.forEach((key, il) => {
    const value = layers.values[il]!;
    if (!isTurbo(key) && !isTurbo(value)) return;
    const pair = `${key} keys with ${value} values`;
    const partner = (type: EngineType): boolean => isTurbo(type) || type === "q8_0";
    if (backend === "vulkan" && !(key === "turbo3" && value === "turbo3"))
      notes.add(`Vulkan has flash attention for turbo3/turbo3 only: ${pair} run on the CPU`);
    if (backend === "metal" && !(partner(key) && partner(value)))
      notes.add(`Metal has no attention kernel for ${pair}`);
    if (backend === "cuda" && isTurbo(key) && !partner(value))
      notes.add(`CUDA lets ${pair} through but has no kernel for it: expect an abort`);
    if (backend === "cuda" && !partner(key) && key !== "f16")
      notes.add(`CUDA has no attention kernel for ${pair}`);
    const [k, v] = [padded(key), padded(value)];
    if (backend === "cuda" && ![64, 128, 256].includes(k) && !(k === 640 || v === 512))
      notes.add(`CUDA has turbo kernels for head sizes 64, 128 and 256; this one is stored as ${k}`);
    if (backend === "metal" && (k === 384 || k === 640))
      notes.add(`Metal has no kernel for heads stored as ${k}: they leave the GPU`);
  });
  return [...notes];
}
