/** Lines over tokens, each named at its end: memory against context, time against length. */
import * as Plot from "@observablehq/plot";
import {
  type Canvas,
  COLORS,
  chart,
  color,
  type Drawing,
  decades,
  FONT,
  isNarrow,
  powerOfTen,
  textWidth,
  tokensText,
} from "./chart.js";
import { spread } from "./labels.js";

export interface LinePoint {
  readonly name: string;
  readonly tokens: number;
  readonly value: number;
  /** Standard error, drawn as a bar of two to each side. */
  readonly error?: number;
}

export interface LinesOptions {
  readonly points: readonly LinePoint[];
  readonly yLabel: string;
  /** Logarithmic on both axes. */
  readonly log?: boolean;
  /** Level lines across, with a name. */
  readonly levels?: readonly { readonly value: number; readonly name: string }[];
  readonly xLabel?: string;
  readonly xTick?: (tokens: number) => string;
}

export const linesPlot = (options: LinesOptions): Drawing => ({ draw: (canvas) => draw(canvas, options) });

function draw(
  canvas: Canvas,
  { points, yLabel, log = false, levels = [], xLabel = "tokens", xTick = tokensText }: LinesOptions,
): Element {
  const names = [...new Set(points.map((p) => p.name))];
  const small = isNarrow(canvas);
  const height = Math.max(small ? 340 : 380, 90 + names.length * (FONT + 4));
  const marginRight = 14 + Math.min(small ? 130 : 240, Math.max(...names.map((n) => textWidth(n, 11))));
  const [marginLeft, marginTop, marginBottom] = [46, 28, 44];
  const tokens = [...new Set(points.map((p) => p.tokens))].sort((a, b) => a - b);
  const values = [...points.map((p) => p.value + 2 * (p.error ?? 0)), ...levels.map((l) => l.value)];
  const [low, high] = [Math.min(...points.map((p) => p.value)), Math.max(...values)];
  const last = tokens.at(-1)!;
  const x = {
    type: log ? ("log" as const) : ("linear" as const),
    domain: [log ? tokens[0]! : Math.min(0, tokens[0]!), last],
    range: [marginLeft, canvas.width - marginRight],
  };
  const y = {
    type: x.type,
    domain: log ? [low * 0.8, high * 1.25] : [0, high * 1.04],
    range: [height - marginBottom, marginTop],
  };
  const py = Plot.scale({ y });
  const ends = names.map((name) => points.filter((p) => p.name === name).at(-1)!);
  const at = spread(
    ends.map((p) => py.apply(p.value)),
    marginTop,
    height - marginBottom,
  );
  const labels = ends.map((p, i) => ({ ...p, color: color(i), y: py.invert!(at[i]!) }));
  const colorOf = (p: LinePoint): string => color(names.indexOf(p.name));
  const isDashed = (p: LinePoint): boolean => names.indexOf(p.name) >= COLORS.length;
  const ticks = log
    ? decades(y.domain[0]!, y.domain[1]!).filter((d) => d >= y.domain[0]! && d <= y.domain[1]!)
    : 6;
  return chart(canvas, {
    height,
    marginLeft,
    marginRight,
    marginTop,
    marginBottom,
    x: {
      ...x,
      label: xLabel,
      ticks: small ? tokens.filter((_, i) => (tokens.length - 1 - i) % 2 === 0) : tokens,
      tickFormat: xTick,
      tickSize: 0,
    },
    y: { ...y, label: yLabel, ticks, ...(log ? { tickFormat: powerOfTen } : {}), tickSize: 0, grid: true },
    marks: [
      ...(levels.length > 0
        ? [
            Plot.ruleY(levels, { y: "value", stroke: "var(--bad)", strokeDasharray: "4,3" }),
            Plot.text(levels, {
              x: () => x.domain[0]!,
              y: "value",
              text: "name",
              textAnchor: "start",
              dx: 4,
              dy: -8,
              fill: "var(--bad)",
            }),
          ]
        : []),
      ...[true, false].map((dashed) =>
        Plot.line(
          points.filter((p) => isDashed(p) === dashed),
          {
            x: "tokens",
            y: "value",
            z: "name",
            stroke: colorOf,
            strokeWidth: 1.75,
            ...(dashed ? { strokeDasharray: "5,3" } : {}),
          },
        ),
      ),
      Plot.ruleX(
        points.filter((p) => p.error),
        {
          x: "tokens",
          y1: (p: LinePoint) => Math.max(y.domain[0]!, p.value - 2 * p.error!),
          y2: (p: LinePoint) => p.value + 2 * p.error!,
          stroke: colorOf,
          strokeWidth: 1,
        },
      ),
      Plot.dot(points, {
        x: "tokens",
        y: "value",
        r: 2.5,
        fill: colorOf,
        title: (p: LinePoint) => `${p.name}, ${xTick(p.tokens)}: ${p.value.toPrecision(4)}`,
      }),
      Plot.text(labels, {
        x: "tokens",
        y: "y",
        text: "name",
        textAnchor: "start",
        dx: 9,
        fontSize: 11,
        fill: "color",
        fontWeight: 550,
      }),
    ],
  });
}
