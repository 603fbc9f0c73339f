/** The report for people: one table, then what the columns mean. */
import Table from "cli-table3";
import type { Report, ReportRow } from "./report.js";

const MIB = 2 ** 20;
const fixed = (digits: number) => (value: number) => value.toFixed(digits);
const percent = (value: number): string => `${(100 * value).toFixed(1)}%`;
const mib = (bytes: number): string => (bytes / MIB >= 100 ? fixed(0) : fixed(1))(bytes / MIB);

const COLUMNS: readonly (readonly [string, (row: ReportRow) => string])[] = [
  ["K/V", (r) => r.name],
  ["bits/\nvalue", (r) => fixed(3)(r.bitsPerValue)],
  ["bytes/\ntoken", (r) => String(r.bytesPerToken)],
  ["MiB at\n32K", (r) => mib(r.bytesAt32K)],
  ["MiB at\n128K", (r) => mib(r.bytesAt128K)],
  ["saved\nvs f16", (r) => percent(r.savingAgainstF16)],
  ["D of\nkeys", (r) => r.keyDistortion.toPrecision(3)],
  ["D of\nvalues", (r) => r.valueDistortion.toPrecision(3)],
  ["logit\nerror", (r) => r.logitError.toPrecision(3)],
  ["softmax\nKL", (r) => r.softmaxKl.toPrecision(3)],
  ["output\ncosine", (r) => fixed(5)(r.outputCosine)],
  ["bias of <q,k>", (r) => `${signed(r.bias)} ± ${standardError(r.biasSe)}`],
  ["encode\nns/vec", (r) => fixed(0)(r.encodeNs)],
  ["score\nns/key", (r) => fixed(1)(r.scoreNs) + (r.path === "decoded" ? "*" : "")],
  ["× f32\nscore", (r) => fixed(2)(r.scoreRatio)],
];

const standardError = (value: number): string => (Number.isNaN(value) ? "  —   " : fixed(4)(value));

/** Four decimals with a sign; what rounds to zero is zero. */
function signed(value: number): string {
  const digits = Math.abs(value).toFixed(4);
  return Number(digits) === 0 ? digits : (value < 0 ? "−" : "+") + digits;
}

export function reportTable({ rows }: Report): string {
  const table = new Table({
    head: COLUMNS.map(([head]) => head),
    colAligns: COLUMNS.map((_, i) => (i === 0 ? "left" : "right")),
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) table.push(COLUMNS.map(([, cell]) => cell(row)));
  return table.toString();
}

export function reportNotes({ recording, layers, agreement, native, seeds }: Report): string {
  const { dim, heads, kvHeads, tokens, queries, recordedLayers, metadata } = recording;
  return [
    `${metadata.model ?? recording.path}`,
    `layers ${recordedLayers.join(", ")}; ${kvHeads} key/value heads, ${heads} query heads, dim ${dim}, ${tokens} tokens, ${queries} queries`,
    "",
    `bits, bytes and MiB    every stored bit (scales, norms, sketches, padding), for ${layers} layers; key means counted in MiB`,
    "D of keys, values      squared error over energy; keys relative to centred keys (softmax ignores a common offset)",
    "logit error            of q·k/√dim, centred per query; softmax KL in nats, output cosine: attention with both sides coded",
    `bias of <q,k>          slope − 1, 0 is unbiased; mean ± standard error over ${seeds.length} rotations × heads`,
    "ns                     WASM SIMD, one core, least of interleaved rounds; * decoded in TypeScript, then dotted",
    "+mean                  keys centred by their head's mean; +qjl a 1-bit sketch of the residual on top of the codes",
    "",
    agreement.differences === 0
      ? `TypeScript = ${agreement.backend}: ${agreement.vectors} vectors encoded, decoded and scored by both, 0 bits differ`
      : `TypeScript ≠ ${agreement.backend}: ${agreement.differences} differences in ${agreement.vectors} vectors`,
    native.mismatches === 0
      ? `native vectors hold: ${native.cases} recorded cases of ${native.types.length} types (llama.cpp fork, ggml, vLLM, ONNX Runtime), 0 mismatches`
      : `native vectors: ${native.mismatches} of ${native.cases} recorded cases differ; first: ${native.first}`,
  ].join("\n");
}
