/** A verdict of the oracle as parts of a page. From the JSON alone. */
import type { Check, Fault, FirstDifference, Verdict, VerdictWord } from "../../oracle/verdict.js";
import { type Html, html, type Part } from "./html.js";
import { badge, facts, section } from "./parts.js";
import { table } from "./table.js";

const KINDS: Readonly<Record<VerdictWord, "good" | "warn" | "bad">> = {
  exact: "good",
  conforming: "good",
  tolerated: "warn",
  faulty: "bad",
};

/** What each word says. */
export const MEANINGS: Readonly<Record<VerdictWord, string>> = {
  exact: "Every byte and every value is what the definition gives.",
  conforming: "What was given conforms to the definition.",
  tolerated:
    "Nothing is wrong: some norms are one fp16 step off, or some codes lie within 1e-6 of a boundary, as another order of additions may do.",
  faulty: "What was given is not what the definition gives.",
};

/** The word in its colour. */
export const word = (v: Verdict): Html => badge(v.verdict, KINDS[v.verdict]);
/** 0.5 as 50.0 %. */
export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** Faults, the likeliest first, with what speaks for each. */
export const faultsTable = (faults: readonly Fault[]): Html =>
  table({
    caption: "Faults with their evidence",
    rows: faults,
    columns: [
      { head: "fault", text: true, cell: (f) => html`<code>${f.id}</code>` },
      { head: "explains", cell: (f) => percent(f.explains), by: (f) => f.explains },
      { head: "evidence", text: true, wrap: true, cell: (f) => f.evidence },
    ],
  });

const show = (value: number | string | null | undefined): Part =>
  value === null || value === undefined ? "–" : value;

/** Where it first differs. */
export function firstSection(first: FirstDifference): Html {
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

/** Every check with its limit. */
export const checksSection = (checks: readonly Check[]): Html =>
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
