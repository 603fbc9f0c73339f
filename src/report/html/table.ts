/** A table whose columns sort: each head is a button, the order is said in aria-sort (page-script.ts does the work). */
import { type Html, html, type Part } from "./html.js";

export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => Part;
  /** What it sorts by; the cell's text where absent. */
  readonly by?: (row: Row) => number | string | null;
  /** Text goes left, numbers right. */
  readonly text?: boolean;
  /** Long texts may take several lines. */
  readonly wrap?: boolean;
}

export interface TableOptions<Row> {
  /** Said to those who do not see it. */
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly chosen?: (row: Row) => boolean;
}

export function table<Row>({ caption, columns, rows, chosen }: TableOptions<Row>): Html {
  const kind = (c: Column<Row>): string => `${c.text ? "text" : ""}${c.wrap ? " wrap" : ""}`;
  const sortable = rows.length > 1;
  const head = columns.map(
    (c) =>
      html`<th scope="col" class="${kind(c)}">${
        sortable ? html`<button type="button">${c.head}</button>` : c.head
      }</th>`,
  );
  const cell = (row: Row, c: Column<Row>, i: number): Html => {
    const key = c.by?.(row);
    const sort = key === undefined ? null : html` data-sort="${key}"`;
    return i === 0
      ? html`<th scope="row" class="${kind(c)}"${sort}>${c.cell(row)}</th>`
      : html`<td class="${kind(c)}"${sort}>${c.cell(row)}</td>`;
  };
  const body = rows.map(
    (
      row,
    ) => html`<tr${chosen?.(row) ? html` class="chosen"` : null}>${columns.map((c, i) => cell(row, c, i))}</tr>
`,
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<caption class="visually-hidden">${caption}</caption>
<thead><tr>${head}</tr></thead>
<tbody>${body}</tbody></table></div>`;
}
