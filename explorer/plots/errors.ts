/** How unlike the vectors' errors are: counts of D, vector by vector, on a logarithmic axis. */
import * as Plot from "@observablehq/plot";
import {
  type Canvas,
  chart,
  type Drawing,
  decades,
  isNarrow,
  powerOfTen,
} from "../../src/report/html/plots/chart.js";
import type { ErrorCounts } from "../protocol.js";

export const errorsPlot = (errors: ErrorCounts, distortion: number): Drawing => ({
  draw: (canvas) => draw(canvas, errors, distortion),
});

function draw(canvas: Canvas, { low, high, counts }: ErrorCounts, distortion: number): Element {
  const step = (high - low) / counts.length;
  const bars = counts
    .map((n, i) => ({ x1: 10 ** (low + i * step), x2: 10 ** (low + (i + 1) * step), n }))
    .filter(({ n }) => n > 0);
  const from = Math.min(...bars.map((b) => b.x1), distortion || 1);
  const to = Math.max(...bars.map((b) => b.x2), distortion);
  // Room to both sides; an axis with fewer than two decades' ticks says too little.
  const domain = [Math.min(from / 1.6, 10 ** Math.floor(Math.log10(from))), to * 1.6] as const;
  const right = Math.log(distortion / domain[0]) > 0.6 * Math.log(domain[1] / domain[0]);
  return chart(canvas, {
    height: isNarrow(canvas) ? 220 : 240,
    marginLeft: 48,
    marginRight: 16,
    x: {
      type: "log",
      domain,
      label: "D of one vector",
      tickSize: 0,
      ticks: decades(...domain).filter((d) => d >= domain[0] && d <= domain[1]),
      tickFormat: powerOfTen,
    },
    y: { label: "vectors", ticks: 4, tickSize: 0, grid: true, tickFormat: "s" },
    marks: [
      Plot.rectY(bars, {
        x1: "x1",
        x2: "x2",
        y: "n",
        fill: "var(--c1)",
        fillOpacity: 0.75,
        insetLeft: 0.25,
        insetRight: 0.25,
        title: (b) => `${b.n} vectors with D near ${Math.sqrt(b.x1 * b.x2).toPrecision(2)}`,
      }),
      Plot.ruleY([0], { stroke: "currentColor", strokeOpacity: 0.5 }),
      ...(distortion > 0
        ? [
            Plot.ruleX([distortion], { stroke: "var(--c2)", strokeWidth: 1.5 }),
            Plot.text([distortion], {
              x: (d: number) => d,
              frameAnchor: "top",
              dy: -12,
              dx: right ? -4 : 4,
              textAnchor: right ? "end" : "start",
              text: (d: number) => `all: ${d.toPrecision(3)}`,
              fill: "var(--c2)",
              fontWeight: 600,
            }),
          ]
        : []),
    ],
  });
}
