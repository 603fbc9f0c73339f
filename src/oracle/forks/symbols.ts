/** What ggml builds call the functions of a format. All are `void f(const float *x, void *y, int64_t k)` or its inverse. */
export interface Symbols {
  readonly quantize: string;
  readonly dequantize: string;
}

const rows = (type: string): Symbols => ({
  quantize: `quantize_row_${type}_ref`,
  dequantize: `dequantize_row_${type}`,
});

const SYMBOLS: Readonly<Record<string, Symbols>> = {
  "ggml/q8_0": rows("q8_0"),
  "ggml/q4_0": rows("q4_0"),
  "ggml/q4_1": rows("q4_1"),
  "ggml/q5_0": rows("q5_0"),
  "ggml/q5_1": rows("q5_1"),
  "ggml/f16": { quantize: "ggml_fp32_to_fp16_row", dequantize: "ggml_fp16_to_fp32_row" },
  "llama/turbo2": rows("turbo2_0"),
  "llama/turbo3": rows("turbo3_0"),
  "llama/turbo4": rows("turbo4_0"),
  "llama/turbo2-qk32": rows("turbo2_0"),
  "llama/turbo3-qk32": rows("turbo3_0"),
  "llama/turbo3-qjl": rows("turbo3_0"),
  "llama/turbo4-qjl": rows("turbo4_0"),
  "llama/tq3_1s": rows("tq3_1s"),
  "llama/tq4_1s": rows("tq4_1s"),
};

/** The usual names for a format; undefined for formats that no ggml build has. */
export const symbolsOf = (format: string): Symbols | undefined => SYMBOLS[format];
