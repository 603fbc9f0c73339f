/** The oracle's answer about a fork's output. */
import type { Candidate } from "../src/oracle/identify.js";
import type { Verdict } from "../src/oracle/verdict.js";
import { html, type Part } from "../src/report/html/html.js";
import { facts, notes } from "../src/report/html/parts.js";
import {
  checksSection,
  faultsTable,
  firstSection,
  MEANINGS,
  percent,
  word,
} from "../src/report/html/verdict.js";
import { place } from "./elements.js";
import { setHtml } from "./figures.js";

export function showVerdict(verdict: Verdict, candidates: readonly Candidate[]): void {
  const { faults, first, checks, tolerated, vectors, format, dim } = verdict;
  setHtml(place("verdict"), [
    html`<p>${word(verdict)} ${MEANINGS[verdict.verdict]}</p>`,
    facts([
      ["Format", html`<code>${format}</code>`],
      ["Dimension", dim],
      ["Vectors", vectors.toLocaleString("en-US")],
      ["Norms one fp16 step off", tolerated.normUlps],
      ["Codes next to a boundary", tolerated.boundaryFlips],
    ]),
    faults.length > 0 &&
      html`<section><h2>What went wrong</h2>
<p>The likeliest fault first: <code id="fault">${faults[0]!.id}</code>. ${faults[0]!.evidence}</p>
${faultsTable(faults)}</section>`,
    candidatesPart(candidates),
    first && firstSection(first),
    checks.length > 0 && checksSection(checks),
  ]);
}

const candidatesPart = (candidates: readonly Candidate[]): Part =>
  candidates.length > 0 &&
  html`<section><h2>Which format are these bytes?</h2>
${notes(
  candidates.map(
    ({ format, side, equal }) =>
      html`<code>${format}</code>${side === "value" && " (values)"}: ${percent(equal ?? 0)} of the bytes equal`,
  ),
)}</section>`;
