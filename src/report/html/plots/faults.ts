/** How much of the evidence each fault explains: bars from nought to all. */
import * as Plot from "@observablehq/plot";
import type { Fault } from "../../../oracle/verdict.js";
import { chart, type Drawing, isNarrow } from "./chart.js";

export const faultsPlot = (faults: readonly Fault[]): Drawing => ({
  draw: (canvas) =>
    chart(canvas, {
      // Names stand over their bars: ids of pairs are long.
      height: faults.length * 48 + 44,
      marginLeft: 14,
      marginRight: 60,
      marginTop: 12,
      marginBottom: 32,
      x: { domain: [0, 1], label: null, ticks: isNarrow(canvas) ? 3 : 6, tickFormat: "%", tickSize: 0 },
      y: { domain: faults.map((f) => f.id), axis: null, paddingInner: 0.5, paddingOuter: 0.25 },
      marks: [
        Plot.barX(faults, {
          x1: 0,
          x2: 1,
          y: "id",
          fill: "var(--soft)",
          rx: 3,
          insetTop: 6,
          insetBottom: -6,
        }),
        Plot.barX(faults, {
          x1: 0,
          x2: (f: Fault) => Math.max(0, f.explains),
          y: "id",
          fill: (_: Fault, i: number) => (i === 0 ? "var(--c5)" : "var(--c8)"),
          rx: 3,
          insetTop: 6,
          insetBottom: -6,
          title: "evidence",
        }),
        Plot.text(faults, {
          x: 0,
          y: "id",
          text: "id",
          textAnchor: "start",
          dy: -14,
          fill: "var(--ink)",
        }),
        Plot.text(faults, {
          x: 1,
          y: "id",
          text: (f: Fault) => `${(100 * f.explains).toFixed(1)} %`,
          textAnchor: "start",
          dx: 6,
          dy: 6,
          fill: "currentColor",
        }),
      ],
    }),
});
