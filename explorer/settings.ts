/** The form's second half: format, dimension, side, seed, scale rule; and what each of them means for the others. */
import type { ScaleRule } from "../src/core/scale.js";
import { allFormats, findFormat } from "../src/formats/registry.js";
import { input, place, select } from "./elements.js";
import type { Settings } from "./protocol.js";

const FAMILIES: Readonly<Record<string, string>> = {
  turboquant: "TurboQuant, ours",
  polarquant: "Recursive polar",
  plain: "Uncompressed",
  ggml: "ggml",
  llama: "llama.cpp TurboQuant fork",
  realizar: "realizar",
  vllm: "vLLM",
  onnxruntime: "ONNX Runtime",
};

/** Formats in groups; `first` is chosen. */
export function fillFormats(first: string): void {
  const families = [...new Set(allFormats().map(({ family }) => family))];
  select("format").replaceChildren(
    ...families.map((family) => {
      const group = document.createElement("optgroup");
      group.label = FAMILIES[family] ?? family;
      const names = allFormats().filter((f) => f.family === family);
      group.append(...names.map(({ name }) => new Option(name, name)));
      return group;
    }),
  );
  select("format").value = first;
}

/** What the form says; a text where something is missing. */
export function readSettings(): Settings | string {
  const format = findFormat(select("format").value);
  const dim = Number(input("dim").value);
  if (!Number.isInteger(dim) || dim < 1) return "The dimension has to be a whole number from 1 on.";
  if (!format.supports(dim)) return `${format.name} takes ${format.dims}: the dimension is ${dim}.`;
  const seed = input("seed").value;
  if (!/^\d+$/.test(seed) || BigInt(seed) >= 1n << 64n)
    return "The seed has to be a whole number, 0 … 2⁶⁴ − 1.";
  return {
    format: format.name,
    dim,
    seed: BigInt(seed),
    side: select("side").value === "value" ? "value" : "key",
    scale:
      isScaled(format.family) && select("scale").value !== "" ? (select("scale").value as ScaleRule) : null,
    backend: select("backend").value === "reference" ? "reference" : "wasm",
  };
}

/** Only our own formats have a seed, and a scale to choose. */
const isScaled = (family: string): boolean => family === "turboquant";
const isSeeded = (family: string): boolean => family === "turboquant" || family === "polarquant";

/** Marks what the chosen dimension and format leave without effect. */
export function updateNotes(): void {
  const dim = Number(input("dim").value);
  for (const option of Array.from(select("format").options)) {
    const { name, dims, supports } = findFormat(option.value);
    option.disabled = !supports(dim);
    option.textContent = option.disabled ? `${name} (${dims})` : name;
  }
  const { family, source } = findFormat(select("format").value);
  place("format-note").textContent = source;
  select("scale").disabled = !isScaled(family);
  place("scale-note").textContent = isScaled(family)
    ? "Keys: norm-matching, values: unbiased; with a sketch least squares."
    : "This format has its own scale.";
  input("seed").disabled = !isSeeded(family);
  place("seed-note").textContent = isSeeded(family) ? "" : "This format's rotation is fixed, or it has none.";
}
