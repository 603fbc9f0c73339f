/** A verdict on standard output, for people or as JSON; faulty ends the command with exit 1. */
import type { Verdict } from "../oracle/verdict.js";
import type { CaseCount, CasesVerdict } from "../oracle/verify-cases.js";
import { CheckFailed } from "./exit.js";

export function showVerdict(verdict: Verdict | CasesVerdict, json: boolean | undefined): void {
  process.stdout.write(json ? `${JSON.stringify(verdict, null, 2)}\n` : text(verdict));
  if (verdict.verdict === "faulty") throw new CheckFailed();
}

function text(v: Verdict | CasesVerdict): string {
  if (!("parts" in v)) return lines(v);
  const dims = new Set(v.parts.map((p) => p.dim)).size;
  const parts = v.parts.map((p) => `${p.part}: ${lines(p)}`).join("\n");
  const head =
    v.parts.length > 1
      ? `${v.verdict.toUpperCase()}  ${v.format}, ${v.cases.length} cases, ${v.vectors} vectors\n\n`
      : "";
  return `${head}${parts}\n${caseTable(v.cases, dims > 1)}`;
}

function caseTable(cases: readonly CaseCount[], dims: boolean): string {
  const name = (c: CaseCount): string => (dims ? `${c.case} d=${c.dim}` : c.case);
  const width = Math.max(...cases.map((c) => name(c).length), 4);
  const cell = (n: number | null, vectors: number): string =>
    (n === null ? "-" : n === 0 ? "same" : `${n} of ${vectors}`).padEnd(10);
  const rows = cases.map(
    (c) =>
      `${name(c).padEnd(width)}  ${cell(c.packed, c.vectors)}  ${cell(c.decoded, c.vectors)}  ${c.exposes.join(", ")}`,
  );
  return `${"case".padEnd(width)}  packed      decoded     can expose\n${rows.join("\n")}\n`;
}

function lines(v: Verdict): string {
  const out = [`${v.verdict.toUpperCase()}  ${v.format} d=${v.dim}, ${v.vectors} vectors`];
  const { first, tolerated } = v;
  if (first) {
    const where = `vector ${first.vector}, ${first.field}${first.coordinate === null ? "" : ` ${first.coordinate}`}${first.byte === null ? "" : ` (byte ${first.byte})`}`;
    const distance =
      first.distance === undefined ? "" : `, ${first.distance.toExponential(2)} from the boundary`;
    const source = first.source ? `; it is ${first.source}` : "";
    out.push(`first     ${where}: expected ${first.expected}, got ${first.actual}${distance}${source}`);
  }
  if (tolerated.normUlps + tolerated.boundaryFlips > 0)
    out.push(
      `tolerated ${tolerated.normUlps} norms one ulp off, ${tolerated.boundaryFlips} codes next to a boundary`,
    );
  for (const f of v.faults) out.push(`fault     ${f.id}  ${(100 * f.explains).toFixed(1)} %  ${f.evidence}`);
  for (const c of v.checks)
    out.push(
      `check     ${c.status.padEnd(4)}  ${c.id}  ${c.value ?? ""}${c.limit === null ? "" : `  (limit ${c.limit})`}`,
    );
  return `${out.join("\n")}\n`;
}
