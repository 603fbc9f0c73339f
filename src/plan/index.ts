/**
 * Planning: which level, how much context, with which flags. Everything but `detectHardware`, `readModelShape`
 * and `checkServer` is a pure function.
 */
export { type CacheMemory, cacheMemory } from "./cache-memory.js";
export { type CheckOptions, checkPrompts, checkServer, type ServerCheck } from "./check-server.js";
export { detectHardware, type Probe, thisMachine } from "./detect.js";
export {
  DFLASH_PAIRS,
  type DflashPair,
  type DflashPlan,
  type DflashRequest,
  planDflash,
} from "./dflash.js";
export { type DflashResult, parseDflashLog } from "./dflash-log.js";
export { dflashReport } from "./dflash-report.js";
export { registryBytes } from "./engine-bytes.js";
export { BACKENDS, type Backend, type EngineProfile, engineProfile } from "./engine-profile.js";
export { shapeFromGguf } from "./gguf-shape.js";
export {
  type Gpu,
  givenHardware,
  type Hardware,
  type MemoryPool,
  macUsable,
  memoryPool,
} from "./hardware.js";
export {
  type MemoryReading,
  parseMeminfo,
  parseNvidiaSmi,
  parseSysctl,
  parseVmStat,
} from "./hardware-output.js";
export { shapeFromHfConfig } from "./hf-shape.js";
export {
  bitsPerValue,
  bytesPerToken,
  GIB,
  type KvBytes,
  kvBytes,
  type LayerTypes,
  MIB,
  nominalKvBytes,
  uniformTypes,
  type VectorBytes,
} from "./kv-bytes.js";
export {
  ENGINE_TYPES,
  type EngineType,
  formatOf,
  formatsOf,
  type LayerRequest,
  type ResolvedLayers,
  resolveLayers,
} from "./layer-types.js";
export { LEVELS, type Level, type LevelName } from "./levels.js";
export { type CacheLine, cellBytes, compareCacheLine, parseCacheLines } from "./llama-log.js";
export { type CachePair, type MemoryRow, memoryRow, parseFormats } from "./memory-table.js";
export { readModelShape } from "./model-file.js";
export {
  CLASS_27B,
  DEFAULT_GEOMETRY,
  describeShape,
  type LayerShape,
  type ModelShape,
  uniformShape,
} from "./model-shape.js";
export { type FixedPrompt, PROMPTS } from "./prompts.js";
export { contextTable, type LevelPlan, type Plan, type PlanRequest, planLevel } from "./select-level.js";
export {
  type Option,
  parseSensitivity,
  profileWithinBudget,
  type SensitivityProfile,
} from "./sensitivity.js";
export {
  type AgentProfile,
  agentProfile,
  agentProfileSchema,
  agentProfileYaml,
  parseAgentProfile,
  serverCommand,
} from "./server-config.js";
export { EXECUTE_CODE, READ_FILE, TOOLS, type ToolSchema, WEB_SEARCH } from "./tools.js";
