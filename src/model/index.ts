/**
 * turboquant-kv/model: a decoder-only transformer of the Llama family over the packed cache, for quality that is
 * measured and not assumed: perplexity and KL divergence, recordings of keys and values, sensitivity by layer. For Node:
 * it reads files and starts threads.
 * @module
 */
export { CacheKv, type CacheKvOptions } from "./cache-kv.js";
export type { Chat, ChatMessage } from "./chat.js";
export { type EvalResult, evaluatePairs, type PairsRequest } from "./eval-pairs.js";
export { greedy } from "./generate.js";
export { type KvChoice, type KvPair, kvPair } from "./kv-pair.js";
export type { KvShape, KvStore, MeasuredKv } from "./kv-store.js";
export { type LayerSensitivity, layerSensitivity, type SensitivityRequest } from "./layer-sensitivity.js";
export type { AttentionAccuracy } from "./measures/attention-accuracy.js";
export { askGates, type Gate, type GateResult, gateOf, type Measures, worstOf } from "./measures/gates.js";
export type { SessionDrift } from "./measures/long-session.js";
export { MEASURES, type Measure } from "./measures/measure-names.js";
export { type MeasuresRequest, measurePairs, type PairMeasures } from "./measures/measure-pairs.js";
export type { MemoryMeasure } from "./measures/memory.js";
export type { NeedleResult, NeedleTrial } from "./measures/needle.js";
export type { SideAnswer, SideBySide, SidePrompt } from "./measures/side-by-side.js";
export type { SpeedMeasure } from "./measures/speed.js";
export type { ModelConfig } from "./model-source.js";
export {
  type NativeEngine,
  type NativeRequest,
  type NativeResult,
  nativeEngine,
  nativePerplexity,
} from "./native-baseline.js";
export { type Model, type OpenModelOptions, openChat, openModel } from "./open-model.js";
export type { EvalPlan, EvalProgress, EvalSummary } from "./perplexity.js";
export { type RecordRequest, record } from "./record.js";
export type { Mean } from "./statistics.js";
export type { EncodeOptions, Tokenizer } from "./tokenizer.js";
export { Transformer, type TransformerOptions } from "./transformer.js";
