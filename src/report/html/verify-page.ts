/** The page of `verify`: the verdict, the faults with their evidence, the first difference, the checks. From the JSON alone. */
import type { Check, Fault, FirstDifference, Verdict, VerdictWord } from "../../oracle/verdict.js";
import { figure } from "./figure.js";
import { type Html, html, type Part } from "./html.js";
import { badge, facts, page, section } from "./page.js";
import { faultsPlot } from "./plots/faults.js";
import { table } from "./table.js";

/** One verdict of a directory is of a case. */
export type PageVerdict = Verdict & { readonly case?: string };

const KINDS: Readonly<Record<VerdictWord, "good" | "warn" | "bad">> = {
  exact: "good",
  conforming: "good",
  tolerated: "warn",
  faulty: "bad",
};

const MEANINGS: Readonly<Record<VerdictWord, string>> = {
  exact: "Every byte and every value is what the definition gives.",
  conforming: "What was given conforms to the definition.",
  tolerated:
    "Nothing is wrong: some norms are one fp16 step off, or some codes lie within 1e-6 of a boundary, as another order of additions may do.",
  faulty: "What was given is not what the definition gives.",
};

const word = (v: Verdict): Html => badge(v.verdict, KINDS[v.verdict]);
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

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

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
    table({
      caption: "Faults with their evidence",
      rows: faults,
      columns: [
        { head: "fault", text: true, cell: (f) => html`<code>${f.id}</code>` },
        { head: "explains", cell: (f) => percent(f.explains), by: (f) => f.explains },
        { head: "evidence", text: true, wrap: true, cell: (f) => f.evidence },
      ],
    }),
  );

const show = (value: number | string | null | undefined): Part =>
  value === null || value === undefined ? "–" : value;

function firstSection(first: FirstDifference): Html {
  const { vector, field, coordinate, byte, expected, actual, distance, source } = first;
  return section(
    "The first difference",
    facts([
      ["Vector", vector],
      ["Field", field],
      ["Coordinate", show(coordinate)],
      ["Byte", show(byte)],
      ["Expected", html`<code>${show(expected)}</code>`],
      ["Got", html`<code>${show(actual)}</code>`],
      ...(distance === undefined
        ? []
        : [["From the boundary, in group norms", distance.toExponential(2)] as const]),
      ...(source ? [["Where the wrong value comes from", source] as const] : []),
    ]),
    html`<p class="lead">Vectors, coordinates and bytes are counted from 0; a byte is counted within its vector.</p>`,
  );
}

const STATUS: Readonly<Record<Check["status"], "good" | "bad" | "plain">> = {
  pass: "good",
  fail: "bad",
  info: "plain",
};

const checksSection = (checks: readonly Check[]): Html =>
  section(
    "Checks",
    html`<p>A format may conform to its own definition and still lose more than it has to: such checks are listed, too.</p>`,
    table({
      caption: "Checks with their limits",
      rows: checks,
      columns: [
        { head: "check", text: true, cell: (c) => html`<code>${c.id}</code>` },
        { head: "status", text: true, cell: (c) => badge(c.status, STATUS[c.status]), by: (c) => c.status },
        { head: "value", text: true, wrap: true, cell: (c) => shown(c.value), by: (c) => c.value },
        { head: "limit", text: true, wrap: true, cell: (c) => shown(c.limit), by: (c) => c.limit },
      ],
    }),
  );

const shown = (value: number | string | null): Part =>
  typeof value === "number" && !Number.isInteger(value) ? value.toPrecision(5) : show(value);
