/** What `turboquant eval` says, for people: one table of perplexity, one of attention, then what else was measured. */
import Table from "cli-table3";
import type { EvalResult } from "../model/eval-pairs.js";
import type { GateResult } from "../model/measures/gates.js";
import type { PairMeasures } from "../model/measures/measure-pairs.js";
import type { SideAnswer } from "../model/measures/side-by-side.js";
import type { NativeResult } from "../model/native-baseline.js";
import { inWords } from "../model/picked-kv.js";
import { paint } from "./amounts.js";

/** All that is known of one K/V pair. */
export interface PairReport extends EvalResult, PairMeasures {
  readonly gates: readonly GateResult[];
  readonly verdict: GateResult["verdict"];
}

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

function tableOf(head: readonly string[], rows: readonly (readonly string[])[], left = 1): string {
  const table = new Table({
    head: [...head],
    colAligns: head.map((_, i) => (i < left ? ("left" as const) : ("right" as const))),
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) table.push([...row]);
  return table.toString();
}

const perplexities = (results: readonly EvalResult[]): string =>
  tableOf(
    [
      "K/V",
      "bits/\nvalue",
      "bytes/\ntoken",
      "perplexity",
      "ratio",
      "KLD\nmean",
      "KLD\n99 %",
      "KLD\n99.9 %",
      "same\ntop",
      "lost,\ngate",
    ],
    results.map((r) => [
      r.kv,
      r.bitsPerValue.toFixed(3),
      String(r.bytesPerToken),
      `${r.ppl.toFixed(3)} ± ${r.pplSe.toFixed(3)}`,
      `${r.ratio.toFixed(4)} ± ${r.ratioSe.toFixed(4)}`,
      `${r.kld.toPrecision(3)} ± ${r.kldSe.toPrecision(2)}`,
      r.kld99.toPrecision(3),
      r.kld999.toPrecision(3),
      percent(r.sameTop),
      `${r.deltaPpl.toFixed(3)} ${r.gate}`,
    ]),
  );

const attention = (results: readonly PairReport[]): string =>
  tableOf(
    [
      "K/V",
      "cosine of\nweights",
      "cosine of\noutputs",
      "worst layer",
      "logit\nerror",
      "KLD by quarter\nof the positions",
    ],
    results.map(({ kv, attention: a, drift }) => [
      kv,
      a!.weightCosine.toFixed(5),
      a!.outputCosine.toFixed(5),
      `${a!.worst.layer}: ${a!.worst.outputCosine.toFixed(4)}`,
      percent(a!.logitError),
      drift.map(({ mean }) => mean.toPrecision(2)).join(" "),
    ]),
  );

const COLOURS = { PASS: "green", BORDERLINE: "yellow", FAIL: "red" } as const;

const gates = (results: readonly PairReport[]): string =>
  results
    .flatMap(({ kv, verdict, gates: asked }) => [
      `${kv}  ${paint(COLOURS[verdict], verdict)}`,
      ...asked.map(
        (g) =>
          `  ${g.gate.padEnd(10)} ${paint(COLOURS[g.verdict], g.verdict.padEnd(10))}${g.kills ? " KILLS" : ""} ${g.measured}; asked: ${g.asked}`,
      ),
    ])
    .join("\n");

/** Needles by depth: hits of the cache over hits of the baseline. */
const needles = (results: readonly PairReport[]): string => {
  const depths = [...new Set(results.flatMap(({ needle }) => needle!.trials.map(({ depth }) => depth)))];
  return tableOf(
    ["needles found\n(baseline's)", ...depths.map(percent)],
    results.map(({ kv, needle }) => [
      kv,
      ...depths.map((depth) => {
        const here = needle!.trials.filter((trial) => trial.depth === depth);
        const known = here.filter(({ baselineFound }) => baselineFound);
        return `${known.filter(({ found }) => found).length} (${known.length} of ${here.length})`;
      }),
    ]),
  );
};

/** llama.cpp's own figures. */
export const nativeText = (native: readonly NativeResult[]): string =>
  tableOf(
    ["llama.cpp's\nK/V", "perplexity", `ratio to\n${native[0]?.kv}`],
    native.map(({ kv, ppl, pplSe, ratio, ratioSe }) => [
      kv,
      `${ppl.toFixed(3)} ± ${pplSe.toFixed(3)}`,
      `${ratio.toFixed(4)} ± ${ratioSe.toFixed(4)}`,
    ]),
  );

/** What presets and names with options stand for. */
const picks = (results: readonly EvalResult[]): readonly string[] =>
  results.filter(({ kv }) => /\+|^best/.test(kv)).map(({ kv, picked }) => `${kv}: ${inWords(picked)}`);

/** One prompt: the baseline's answer, then everybody's. */
function answers(results: readonly PairReport[], index: number): string {
  const said = ({ text, asAsked }: SideAnswer) =>
    `${asAsked ? "as asked" : "not as asked"}: ${JSON.stringify(text)}`;
  const { category, promptTokens, cut, baseline } = results[0]!.prompts![index]!;
  const cutOut = cut > 0 ? `, ${cut} more cut out of the middle` : "";
  return [
    paint("bold", `${category} (${promptTokens} tokens${cutOut})`),
    `  baseline, ${said(baseline)}`,
    ...results.map(({ kv, prompts }) => {
      const { answer, same, of } = prompts![index]!;
      return `  ${kv}, the first ${same} of ${of} tokens the same, ${said(answer)}`;
    }),
  ].join("\n");
}

/** Everything, in the order of the report. showGates: what §5.1 asks, gate by gate. */
export function evalText(results: readonly PairReport[], showGates: boolean): string {
  const parts = [perplexities(results), ...picks(results)];
  const every = (measure: keyof PairMeasures) => results.every((result) => result[measure] !== undefined);
  if (every("attention")) parts.push(attention(results));
  if (every("needle")) parts.push(needles(results));
  if (every("prompts")) parts.push(...results[0]!.prompts!.map((_, i) => answers(results, i)));
  if (showGates) parts.push(gates(results));
  return parts.join("\n");
}
