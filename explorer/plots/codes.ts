/** How often each code comes, against what N(0,1) gives the codebook's cells. */
import * as Plot from "@observablehq/plot";
import { type Canvas, chart, type Drawing, isNarrow } from "../../src/report/html/plots/chart.js";
import { cellShares } from "../cell-shares.js";

/** counts: of each code. boundaries: in units of N(0,1). */
export const codesPlot = (counts: readonly number[], boundaries: readonly number[]): Drawing => ({
  draw: (canvas) => draw(canvas, counts, cellShares(boundaries)),
});

function draw(canvas: Canvas, counts: readonly number[], due: readonly number[]): Element {
  const all = counts.reduce((sum, n) => sum + n, 0);
  const bars = counts.map((n, code) => ({ code, share: n / Math.max(1, all), due: due[code]! }));
  const every = Math.ceil(counts.length / (isNarrow(canvas) ? 8 : 16));
  return chart(canvas, {
    height: isNarrow(canvas) ? 220 : 240,
    marginLeft: 44,
    marginRight: 12,
    x: {
      type: "band",
      label: "code",
      tickSize: 0,
      padding: counts.length > 32 ? 0 : 0.15,
      tickFormat: (code: number) => (code % every === 0 ? String(code) : ""),
    },
    y: { label: "share", tickFormat: "%", ticks: 4, tickSize: 0, grid: true },
    marks: [
      Plot.barY(bars, {
        x: "code",
        y: "share",
        fill: "var(--c1)",
        fillOpacity: 0.75,
        title: (b) =>
          `code ${b.code}: ${(100 * b.share).toFixed(2)} %, N(0,1) gives ${(100 * b.due).toFixed(2)} %`,
      }),
      Plot.tickY(bars, {
        x: "code",
        y: "due",
        stroke: "var(--ink)",
        strokeWidth: 1.5,
        strokeDasharray: "3,2",
      }),
      Plot.ruleY([0], { stroke: "currentColor", strokeOpacity: 0.5 }),
    ],
  });
}
