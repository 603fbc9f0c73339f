/** Coordinates before and after the rotation, against the density of N(0,1) and the codebook's cells. */
import * as Plot from "@observablehq/plot";
import type { Coordinates, Histogram } from "../../coordinates.js";
import { type Canvas, chart, type Drawing, isNarrow } from "./chart.js";

interface Bar {
  readonly panel: string;
  readonly x1: number;
  readonly x2: number;
  readonly density: number;
}

const BEFORE = "before the rotation";
const AFTER = "after the rotation";
const normal = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

export function histogramPlot(view: Coordinates): Drawing {
  return { draw: (canvas) => draw(canvas, view) };
}

function draw(canvas: Canvas, { before, rotated }: Coordinates): Element {
  const panels = rotated ? [BEFORE, AFTER] : ["as they are"];
  const edge = Math.max(4, reach(before), rotated ? reach(rotated.after) : 0);
  const bars = [...barsOf(before, panels[0]!), ...(rotated ? barsOf(rotated.after, AFTER) : [])].filter(
    ({ x1, x2 }) => x1 >= -edge && x2 <= edge,
  );
  const top = 1.08 * Math.max(normal(0), ...bars.map((b) => b.density));
  const curve = Array.from({ length: 161 }, (_, i) => -4 + i / 20).map((x) => ({ x, y: normal(x) }));
  const cells = rotated?.boundaries ?? [];
  const small = isNarrow(canvas);
  return chart(canvas, {
    height: panels.length * (small ? 150 : 170) + 70,
    marginLeft: 36,
    marginRight: 12,
    x: { domain: [-edge, edge], label: "x·√d / ‖x‖", tickSize: 0, ticks: small ? 6 : 12 },
    y: { domain: [0, top], label: "density", ticks: 3, tickSize: 0 },
    fy: { domain: panels, label: null, axis: null, padding: 0.18 },
    marks: [
      ...(rotated
        ? [
            Plot.ruleX(cells, {
              x: (b: number) => b,
              fy: () => AFTER,
              stroke: "var(--c2)",
              strokeOpacity: cells.length > 20 ? 0.35 : 0.7,
              strokeWidth: 1,
            }),
          ]
        : []),
      Plot.rectY(bars, {
        x1: "x1",
        x2: "x2",
        y: "density",
        fy: "panel",
        fill: "var(--c1)",
        fillOpacity: 0.75,
        insetLeft: 0.25,
        insetRight: 0.25,
      }),
      Plot.line(curve, { x: "x", y: "y", stroke: "var(--ink)", strokeWidth: 1.25, strokeDasharray: "3,3" }),
      ...(rotated
        ? [
            Plot.dot(rotated.centroids, {
              x: (c: number) => c,
              y: 0,
              fy: () => AFTER,
              r: cells.length > 20 ? 2 : 3.5,
              fill: "var(--c2)",
              stroke: "var(--paper)",
            }),
          ]
        : []),
      Plot.ruleY([0], { stroke: "currentColor", strokeOpacity: 0.5 }),
      Plot.text(panels, {
        fy: (p: string) => p,
        text: (p: string) => p,
        frameAnchor: "top-left",
        dx: 2,
        dy: -4,
        fill: "var(--ink)",
        stroke: "var(--paper)",
        strokeWidth: 4,
        fontWeight: 600,
      }),
    ],
  });
}

/** The farthest bin that holds a thousandth of all values or more, rounded up. */
function reach({ low, high, counts, below, above }: Histogram): number {
  const all = counts.reduce((sum, n) => sum + n, below + above);
  const width = (high - low) / counts.length;
  const far = counts.reduce((most, n, i) => {
    const x = Math.max(Math.abs(low + i * width), Math.abs(low + (i + 1) * width));
    return n >= all / 1000 ? Math.max(most, x) : most;
  }, 0);
  return Math.min(high, Math.ceil(far + 0.5));
}

/** Bins two by two: the plot is smaller than the count. */
function barsOf({ low, high, counts, below, above }: Histogram, panel: string): Bar[] {
  const all = counts.reduce((sum, n) => sum + n, below + above);
  const width = (2 * (high - low)) / counts.length;
  return Array.from({ length: counts.length / 2 }, (_, i) => ({
    panel,
    x1: low + i * width,
    x2: low + (i + 1) * width,
    density: (counts[2 * i]! + counts[2 * i + 1]!) / all / width,
  }));
}
