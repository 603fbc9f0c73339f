/** One vector: what was coded and what came back, and in the rotated basis the cell that each coordinate fell into. */
import * as Plot from "@observablehq/plot";
import { type Canvas, chart, type Drawing, isNarrow } from "../../src/report/html/plots/chart.js";
import type { VectorView } from "../protocol.js";

const BEFORE = { name: "as it came", color: "var(--c1)" };
const AFTER = { name: "decoded", color: "var(--c2)" };

export const vectorPlot = ({ x, decoded }: VectorView): Drawing => ({
  legend: [BEFORE, AFTER],
  draw: (canvas) => {
    const rows = [
      ...Array.from(x, (value, i) => ({ ...BEFORE, i, value })),
      ...Array.from(decoded, (value, i) => ({ ...AFTER, i, value })),
    ].filter(({ value }) => Number.isFinite(value));
    return chart(canvas, {
      height: isNarrow(canvas) ? 200 : 220,
      marginLeft: 44,
      marginRight: 12,
      x: { label: "coordinate", tickSize: 0, domain: [-1, x.length] },
      y: { label: "value", nice: true, ticks: 5, tickSize: 0, grid: true },
      marks: [
        Plot.ruleY([0], { stroke: "currentColor", strokeOpacity: 0.5 }),
        Plot.line(rows, {
          x: "i",
          y: "value",
          z: "name",
          stroke: (r) => r.color,
          strokeWidth: (r) => (r.name === BEFORE.name ? 2 : 1.25),
        }),
      ],
    });
  },
});

type Rotated = NonNullable<VectorView["rotated"]>;

export const cellsPlot = (rotated: Rotated): Drawing => ({
  legend: [
    { name: "after the rotation", color: "var(--c1)" },
    { name: "what its code stands for", color: "var(--c2)" },
  ],
  draw: (canvas) => drawCells(canvas, rotated),
});

function drawCells(canvas: Canvas, { z, codes, centroids, boundaries }: Rotated): Element {
  const rows = Array.from(z, (value, i) => ({ i, value, code: codes[i]!, level: centroids[codes[i]!]! }));
  const reach = Math.max(3, ...rows.map((r) => Math.max(Math.abs(r.value), Math.abs(r.level)))) * 1.05;
  const many = boundaries.length > 20;
  return chart(canvas, {
    height: isNarrow(canvas) ? 260 : 300,
    marginLeft: 44,
    marginRight: 12,
    x: { label: "rotated coordinate", tickSize: 0, domain: [-1, z.length] },
    y: { label: "z", domain: [-reach, reach], ticks: 6, tickSize: 0 },
    marks: [
      Plot.ruleY(boundaries, { stroke: "currentColor", strokeOpacity: many ? 0.15 : 0.35 }),
      Plot.ruleX(rows, { x: "i", y1: "value", y2: "level", stroke: "currentColor", strokeOpacity: 0.6 }),
      Plot.dot(rows, { x: "i", y: "level", r: 2, fill: "var(--c2)" }),
      Plot.dot(rows, {
        x: "i",
        y: "value",
        r: 2.5,
        fill: "var(--c1)",
        title: (r) =>
          `coordinate ${r.i}: z ${r.value.toFixed(3)}, code ${r.code}, which stands for ${r.level.toFixed(3)}`,
      }),
    ],
  });
}
