/** The page of `verify`: the verdict, the faults with their evidence, the first difference, the checks. From the JSON alone. */
import type { Fault, Verdict } from "../../oracle/verdict.js";
import { figure } from "./figure.js";
import { type Html, html } from "./html.js";
import { page } from "./page.js";
import { facts, section } from "./parts.js";
import { faultsPlot } from "./plots/faults.js";
import { table } from "./table.js";
import { checksSection, faultsTable, firstSection, MEANINGS, percent, word } from "./verdict.js";

/** One verdict of a directory is of a case. */
export type PageVerdict = Verdict & { readonly case?: string };

const nameOf = (v: PageVerdict): string => `${v.case ? `${v.case}, ` : ""}${v.format} at dimension ${v.dim}`;

export function verifyPage(verdicts: readonly PageVerdict[]): string {
  const [only] = verdicts;
  const faulty = verdicts.filter((v) => v.verdict === "faulty").length;
  const single = verdicts.length === 1 && only !== undefined;
  return page({
    title: single
      ? `${only.format}: ${only.verdict}`
      : `${verdicts.length} cases: ${faulty === 0 ? "none is faulty" : `${faulty} ${faulty === 1 ? "is" : "are"} faulty`}`,
    lead: single
      ? html`<p>${word(only)} ${MEANINGS[only.verdict]}</p>`
      : html`<p>Every file that the fork left beside the emitted inputs, against the definition.</p>`,
    sections: single
      ? verdictSections(only)
      : [
          casesSection(verdicts),
          ...verdicts
            .filter((v) => v.verdict === "faulty")
            .map((v) => html`<article><h2>${word(v)} ${nameOf(v)}</h2>${verdictSections(v)}</article>`),
        ],
    made: "Made by turboquant-kv: turboquant verify --html.",
  });
}

const casesSection = (verdicts: readonly PageVerdict[]): Html =>
  section(
    "All cases",
    table({
      caption: "All cases and their verdicts",
      rows: verdicts,
      columns: [
        { head: "case", text: true, cell: (v) => html`<code>${v.case ?? ""}</code>` },
        { head: "format", text: true, cell: (v) => html`<code>${v.format}</code>` },
        { head: "verdict", text: true, cell: word, by: (v) => v.verdict },
        { head: "vectors", cell: (v) => v.vectors },
        { head: "first fault", text: true, cell: (v) => v.faults[0] && html`<code>${v.faults[0].id}</code>` },
        {
          head: "explains",
          cell: (v) => v.faults[0] && percent(v.faults[0].explains),
          by: (v) => v.faults[0]?.explains ?? null,
        },
        { head: "norms one ulp off", cell: (v) => v.tolerated.normUlps },
        { head: "codes at a boundary", cell: (v) => v.tolerated.boundaryFlips },
      ],
    }),
  );

function verdictSections(v: PageVerdict): Html[] {
  return [
    facts([
      ["Format", html`<code>${v.format}</code>`],
      ["Dimension", v.dim],
      ["Vectors", v.vectors.toLocaleString("en-US")],
      ["Norms one fp16 step off", v.tolerated.normUlps],
      ["Codes next to a boundary", v.tolerated.boundaryFlips],
    ]),
    ...(v.faults.length > 0 ? [faultsSection(v.faults)] : []),
    ...(v.first ? [firstSection(v.first)] : []),
    ...(v.checks.length > 0 ? [checksSection(v.checks)] : []),
  ];
}

const faultsSection = (faults: readonly Fault[]): Html =>
  section(
    "What went wrong",
    html`<p>The likeliest fault first: <code>${faults[0]!.id}</code>. ${faults[0]!.evidence}</p>`,
    figure({
      title: "How much of the evidence each fault explains",
      definition:
        "The share of the vectors that come out right when the definition is given this fault on purpose. Two faults joined by + act together.",
      drawing: faultsPlot(faults),
    }),
    faultsTable(faults),
  );
