/** Figures that are drawn as wide as there is room, and again when that changes. */
import { html, type Part } from "../src/report/html/html.js";
import type { Drawing } from "../src/report/html/plots/chart.js";

export interface FigureContent {
  readonly title: string;
  /** What is drawn, in what unit, measured how. */
  readonly definition: string;
  /** What is seen, for those who do not see it. */
  readonly summary: string;
  readonly drawing: Drawing;
}

const drawings = new WeakMap<Element, FigureContent>();
const watch = new ResizeObserver((entries) => {
  for (const { target } of entries) queue(target);
});

/** Places that wait for their plot. */
const waiting = new Set<Element>();
let whenDrawn = Promise.resolve();

/** Plots are drawn one at a time, with room for the reader's keys and clicks between them. */
function queue(plot: Element): void {
  if (waiting.has(plot)) return;
  waiting.add(plot);
  whenDrawn = whenDrawn
    .then(() => new Promise<void>((resolve) => setTimeout(resolve, 0)))
    .then(() => {
      waiting.delete(plot);
      draw(plot);
    });
}

/** Resolves when no plot waits. */
export async function drawn(): Promise<void> {
  while (waiting.size > 0) await whenDrawn;
}

/** Puts figures into a place, in the place of what was there. */
export function showFigures(place: Element, contents: readonly FigureContent[]): void {
  const kept = Array.from(place.children).filter((child) => child.matches("figure"));
  // The same figures with other data: nothing jumps.
  if (kept.length !== contents.length || place.children.length !== contents.length) {
    for (const child of kept) watch.unobserve(child.querySelector(".plot")!);
    place.replaceChildren(...contents.map(() => emptyFigure()));
  }
  for (const [i, content] of contents.entries()) fill(place.children[i]!, content);
}

function emptyFigure(): Element {
  const figure = document.createElement("figure");
  figure.innerHTML = `<h3></h3><div class="legend-place"></div><div class="plot"></div><figcaption></figcaption>`;
  watch.observe(figure.querySelector(".plot")!);
  return figure;
}

function fill(figure: Element, content: FigureContent): void {
  const { title, definition, drawing } = content;
  figure.querySelector("h3")!.textContent = title;
  figure.querySelector("figcaption")!.textContent = definition;
  setHtml(figure.querySelector(".legend-place")!, legend(drawing));
  const plot = figure.querySelector(".plot")!;
  drawings.set(plot, content);
  queue(plot);
}

const legend = ({ legend: entries = [] }: Drawing): Part =>
  entries.length > 0 &&
  html`<ul class="legend">${entries.map(({ name, color }) => html`<li><i style="background:${color}"></i>${name}</li>`)}</ul>`;

function draw(plot: Element): void {
  const content = drawings.get(plot);
  const width = Math.floor(plot.clientWidth);
  if (!content || width < 120) return;
  const svg = content.drawing.draw({ width, document });
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${content.title}. ${content.summary}`);
  plot.replaceChildren(svg);
}

/** What html`` made, as the content of an element. */
export function setHtml(place: Element, part: Part): void {
  place.innerHTML = html`${part}`.text;
}
