/** A value with its error bar for each name, and limits across. */
import * as Plot from "@observablehq/plot";
import { type Canvas, chart, type Drawing, decades, isNarrow, powerOfTen, textWidth } from "./chart.js";

export interface Interval {
  readonly name: string;
  readonly value: number;
  /** Standard error: the bar reaches two to each side. */
  readonly se: number;
}

export interface IntervalsOptions {
  readonly intervals: readonly Interval[];
  readonly xLabel: string;
  readonly log?: boolean;
  readonly limits?: readonly { readonly value: number; readonly name: string }[];
}

export const intervalsPlot = (options: IntervalsOptions): Drawing => ({
  draw: (canvas) => draw(canvas, options),
});

function draw(canvas: Canvas, { intervals, xLabel, log = false, limits = [] }: IntervalsOptions): Element {
  const small = isNarrow(canvas);
  const names = intervals.map((i) => i.name);
  const marginLeft = 14 + Math.min(small ? 124 : 240, Math.max(...names.map((n) => textWidth(n))));
  const highest = Math.max(...intervals.map((i) => i.value + 2 * i.se));
  const lowest = Math.min(...intervals.map((i) => i.value - 2 * i.se));
  const positive = intervals.map((i) => i.value).filter((v) => v > 0);
  const logarithmic = log && positive.length > 0;
  const least = Math.min(...positive) / 3;
  const domain = logarithmic
    ? [least, highest * 1.3]
    : [Math.min(0, lowest), Math.max(highest, ...limits.map((l) => l.value)) * 1.06];
  const clamp = (v: number): number => (logarithmic ? Math.max(least, v) : v);
  const inside = decades(domain[0]!, domain[1]!).filter((d) => d >= domain[0]! && d <= domain[1]!);
  return chart(canvas, {
    height: intervals.length * 30 + 84,
    marginLeft,
    marginRight: 24,
    marginTop: limits.length > 0 ? 34 : 14,
    x: {
      type: logarithmic ? "log" : "linear",
      domain,
      label: xLabel,
      tickSize: 0,
      grid: true,
      ...(logarithmic && inside.length > 1
        ? { ticks: inside, tickFormat: powerOfTen }
        : { ticks: small ? 4 : 7 }),
    },
    y: { domain: names, label: null, tickSize: 0 },
    marks: [
      Plot.ruleX(limits, { x: "value", stroke: "var(--bad)", strokeDasharray: "4,3" }),
      Plot.text(limits, {
        x: "value",
        text: "name",
        frameAnchor: "top",
        dy: -14,
        fill: "var(--bad)",
      }),
      Plot.ruleY(intervals, {
        y: "name",
        x1: (i: Interval) => clamp(i.value - 2 * i.se),
        x2: (i: Interval) => clamp(i.value + 2 * i.se),
        stroke: "var(--c1)",
        strokeWidth: 2,
      }),
      Plot.dot(intervals, {
        y: "name",
        x: (i: Interval) => clamp(i.value),
        r: 4.5,
        fill: "var(--c1)",
        stroke: "var(--paper)",
        title: (i: Interval) => `${i.name}: ${i.value.toPrecision(4)} ± ${i.se.toPrecision(2)}`,
      }),
    ],
  });
}
