/** Size of each coordinate before and after the rotation: outlier channels, and what becomes of them. */
import * as Plot from "@observablehq/plot";
import type { Coordinates } from "../../coordinates.js";
import { chart, type Drawing, isNarrow } from "./chart.js";

export function profilePlot({ rmsBefore, rotated }: Coordinates): Drawing {
  const lines = [
    { name: rotated ? "before the rotation" : "as they are", color: "var(--c2)", rms: rmsBefore },
    ...(rotated ? [{ name: "after the rotation", color: "var(--c1)", rms: rotated.rmsAfter }] : []),
  ];
  const rows = lines.flatMap(({ name, color, rms }) => rms.map((value, i) => ({ name, color, i, value })));
  return {
    legend: lines,
    draw: (canvas) =>
      chart(canvas, {
        height: isNarrow(canvas) ? 200 : 220,
        marginLeft: 36,
        marginRight: 12,
        x: {
          label: "coordinate",
          tickSize: 0,
          domain: [-1, Math.max(rmsBefore.length, rotated?.rmsAfter.length ?? 0)],
        },
        y: { label: "root mean square", zero: true, nice: true, ticks: 4, tickSize: 0, grid: true },
        marks: [
          Plot.ruleY([1], { stroke: "currentColor", strokeDasharray: "3,3", strokeOpacity: 0.7 }),
          Plot.line(rows, { x: "i", y: "value", z: "name", stroke: (r) => r.color, strokeWidth: 1.5 }),
        ],
      }),
  };
}
