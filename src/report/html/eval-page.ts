/** The page of `eval`: what each compressed cache costs the model on the text, with standard errors and gates. */
import type { EvalResult } from "../../model/eval-pairs.js";
import type { Gate } from "../../model/measures/gates.js";
import { figure } from "./figure.js";
import { type Html, html } from "./html.js";
import { page } from "./page.js";
import { badge, facts, notes, section } from "./parts.js";
import { intervalsPlot } from "./plots/intervals.js";
import { linesPlot } from "./plots/lines.js";
import { table } from "./table.js";

/** What `eval --json` prints. */
export interface EvalReport {
  readonly model: string;
  readonly text: string;
  readonly ctx: number;
  readonly chunks: number;
  readonly scored: number;
  readonly baseline: string;
  /** What the reader has to know about the model. */
  readonly note?: string;
  readonly results: readonly EvalResult[];
}

const GATES: Readonly<Record<Gate, "good" | "warn" | "bad">> = {
  PASS: "good",
  BORDERLINE: "warn",
  FAIL: "bad",
};

export function evalPage(report: EvalReport): string {
  const { model, text, ctx, chunks, scored, baseline, note, results } = report;
  const driftParts = Math.max(0, ...results.map((r) => r.drift.length));
  return page({
    title: `What a compressed cache costs ${model}`,
    lead: html`<p>Next-token predictions over ${text}, against a cache of ${baseline}.${note ? html` <strong>Note: ${note}.</strong>` : null}</p>`,
    sections: [
      facts([
        ["Baseline", html`<code>${baseline}</code>`],
        ["Chunks", chunks],
        ["Tokens per chunk", ctx],
        ["Predictions scored", scored.toLocaleString("en-US")],
      ]),
      section("Every pair", resultsTable(results), definitions()),
      section(
        "Divergence from the baseline",
        figure({
          title: "Mean KL divergence of the next token",
          definition: `KL(p of ${baseline} ‖ p of the pair) over the whole vocabulary, nats, mean over ${scored.toLocaleString("en-US")} predictions; bars reach two standard errors to each side. Logarithmic.`,
          drawing: intervalsPlot({
            intervals: results.map((r) => ({ name: r.kv, value: r.kld, se: r.kldSe })),
            xLabel: "KL divergence, nats",
            log: true,
          }),
        }),
        figure({
          title: "Perplexity lost, and the gates",
          definition:
            "Perplexity of the pair minus that of the baseline on the same predictions; bars reach two standard errors of the paired ratio. Up to 0.5 passes, above 1.0 fails, between the two is borderline.",
          drawing: intervalsPlot({
            intervals: results.map((r) => ({
              name: r.kv,
              value: r.deltaPpl,
              se: (r.ratioSe * r.ppl) / r.ratio,
            })),
            xLabel: "perplexity lost",
            limits: [
              { value: 0.5, name: "pass" },
              { value: 1, name: "fail" },
            ],
          }),
        }),
      ),
      ...(driftParts > 1 ? [driftSection(results, driftParts)] : []),
    ],
    made: "Made by turboquant-kv: turboquant eval --html.",
  });
}

const resultsTable = (results: readonly EvalResult[]): Html =>
  table({
    caption: "Every pair: bytes, perplexity, divergence, gate",
    rows: results,
    columns: [
      { head: "keys/values", text: true, cell: (r) => html`<code>${r.kv}</code>` },
      { head: "gate", text: true, cell: (r) => badge(r.gate, GATES[r.gate]), by: (r) => r.gate },
      { head: "bytes/token", cell: (r) => r.bytesPerToken },
      { head: "perplexity", cell: (r) => `${r.ppl.toFixed(3)} ± ${r.pplSe.toFixed(3)}`, by: (r) => r.ppl },
      { head: "lost", cell: (r) => r.deltaPpl.toFixed(3), by: (r) => r.deltaPpl },
      { head: "ratio", cell: (r) => `${r.ratio.toFixed(4)} ± ${r.ratioSe.toFixed(4)}`, by: (r) => r.ratio },
      {
        head: "KL mean",
        cell: (r) => `${r.kld.toPrecision(3)} ± ${r.kldSe.toPrecision(2)}`,
        by: (r) => r.kld,
      },
      { head: "KL 99 %", cell: (r) => r.kld99.toPrecision(3), by: (r) => r.kld99 },
      { head: "KL 99.9 %", cell: (r) => r.kld999.toPrecision(3), by: (r) => r.kld999 },
      { head: "same top token", cell: (r) => `${(100 * r.sameTop).toFixed(1)} %`, by: (r) => r.sameTop },
    ],
  });

const definitions = (): Html | null =>
  notes([
    html`<b>perplexity</b>: exp of the mean of −ln p of the token that came, ± its standard error. <b>ratio</b>: to the baseline's, from paired differences. <b>lost</b>: the difference of the two.`,
    html`<b>KL</b>: of the next-token distributions, nats: mean ± standard error, and the quantiles that 99 % and 99.9 % of predictions stay below. <b>same top token</b>: share of predictions whose likeliest token is the baseline's.`,
    html`<b>bytes/token</b>: of one more token in all layers, every stored bit counted.`,
  ]);

const driftSection = (results: readonly EvalResult[], parts: number): Html =>
  section(
    "Error by position",
    figure({
      title: "Divergence from early to late in a chunk",
      definition: `Mean KL divergence in each of ${parts} equal stretches of a chunk's scored positions, first to last; bars reach two standard errors. Errors that pile up in the cache would make it rise.`,
      drawing: linesPlot({
        points: results.flatMap((r) =>
          r.drift.map(({ mean, se }, i) => ({ name: r.kv, tokens: i + 1, value: mean, error: se })),
        ),
        yLabel: "KL divergence, nats",
        xLabel: "stretch of the chunk",
        xTick: String,
      }),
    }),
  );
