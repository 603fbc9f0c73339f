/** `turboquant-kv/compat/llama`: llama.cpp's own attention arithmetic over a cache of `turboquant-kv/cache`. */
export { type LlamaAttentionOptions, llamaAttend } from "./attention.js";
