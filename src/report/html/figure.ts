/** A plot with its title and definition, drawn twice: for wide pages and for phones. */
import { parseHTML } from "linkedom";
import { type Html, html, raw } from "./html.js";
import type { Drawing } from "./plots/chart.js";

export interface Figure {
  readonly title: string;
  /** What is drawn, in what unit, measured how. */
  readonly definition: string;
  readonly drawing: Drawing;
}

const WIDE = 816;
const NARROW = 350;

export function figure({ title, definition, drawing }: Figure): Html {
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const draw = (width: number): Html => {
    const svg = drawing.draw({ width, document });
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", title);
    return raw(svg.outerHTML);
  };
  const { legend = [] } = drawing;
  return html`<figure><h3>${title}</h3>
${
  legend.length > 0 &&
  html`<ul class="legend">${legend.map(({ name, color }) => html`<li><i style="background:${color}"></i>${name}</li>`)}</ul>`
}
<div class="wide">${draw(WIDE)}</div><div class="narrow">${draw(NARROW)}</div>
<figcaption>${definition}</figcaption></figure>
`;
}
