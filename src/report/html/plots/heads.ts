/** One figure for each layer and head of every configuration: a heat map, darker is worse. */
import * as Plot from "@observablehq/plot";
import { type Canvas, chart, type Drawing, isNarrow } from "./chart.js";

export interface HeadValue {
  readonly name: string;
  readonly layer: number;
  readonly head: number;
  readonly value: number;
}

const STEPS = ["var(--h0)", "var(--h1)", "var(--h2)", "var(--h3)", "var(--h4)", "var(--h5)", "var(--h6)"];

export function headsPlot(values: readonly HeadValue[]): Drawing {
  const positive = values.map((v) => v.value).filter((v) => v > 0);
  const low = Math.log(Math.min(...positive));
  const high = Math.log(Math.max(...positive));
  /** Steps are equal ratios. */
  const step = (value: number): number =>
    value > 0 ? Math.min(6, Math.floor((7 * (Math.log(value) - low)) / (high - low || 1))) : 0;
  const edge = (i: number): string => Math.exp(low + ((high - low) * i) / 7).toPrecision(2);
  return {
    legend: STEPS.map((color, i) => ({ name: `${i === 0 ? "" : "≥ "}${edge(i)}`, color })),
    draw: (canvas) => draw(canvas, values, step),
  };
}

function draw(canvas: Canvas, values: readonly HeadValue[], step: (value: number) => number): Element {
  const names = [...new Set(values.map((v) => v.name))];
  const layers = [...new Set(values.map((v) => v.layer))];
  const heads = [...new Set(values.map((v) => v.head))];
  const small = isNarrow(canvas);
  const columns = layers.length * heads.length;
  const row = 24;
  const marginLeft = small ? 122 : 140;
  const cell = (canvas.width - marginLeft) / columns;
  const written = cell >= 40;
  return chart(canvas, {
    height: names.length * row + 76,
    marginLeft,
    marginRight: 4,
    marginTop: 36,
    marginBottom: 40,
    x: {
      domain: heads,
      label: "key/value head",
      tickSize: 0,
      padding: 0.06,
      ...(cell < 14 ? { ticks: [] } : {}),
    },
    y: { domain: names, label: null, tickSize: 0, padding: 0.08 },
    fx: {
      domain: layers,
      label: "layer",
      padding: layers.length > 8 ? 0.1 : 0.06,
      ...(layers.length > 12 ? { tickFormat: (d: number, i: number) => (i % 4 === 0 ? String(d) : "") } : {}),
    },
    marks: [
      Plot.cell(values, {
        x: "head",
        y: "name",
        fx: "layer",
        fill: (v: HeadValue) => STEPS[step(v.value)]!,
        title: (v: HeadValue) => `${v.name}, layer ${v.layer}, head ${v.head}: ${v.value.toPrecision(3)}`,
      }),
      ...(written
        ? [
            Plot.text(values, {
              x: "head",
              y: "name",
              fx: "layer",
              text: (v: HeadValue) => short(v.value),
              fontSize: 10.5,
              fill: (v: HeadValue) => (step(v.value) >= 4 ? "var(--h-high)" : "var(--h-low)"),
            }),
          ]
        : []),
    ],
  });
}

const short = (value: number): string =>
  value === 0 ? "0" : value >= 0.001 ? value.toPrecision(2) : value.toExponential(0).replace("e-", "e−");
