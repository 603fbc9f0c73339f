/** Bits against distortion, every format on the same vectors, with the Shannon limit below which nothing can lie. */
import * as Plot from "@observablehq/plot";
import { type Rate, shannonLimit } from "../../rates.js";
import { type Canvas, chart, color, type Drawing, decades, isNarrow, powerOfTen } from "./chart.js";
import { placeLabels } from "./labels.js";

const MOST_BITS = 9.5;

/** rates: of one side. first: formats that are named before others where room is short. ringed: one that is marked. */
export function rateDistortion(
  rates: readonly Rate[],
  first: readonly string[] = [],
  ringed?: string,
): Drawing {
  const points = rates.filter(({ bits, distortion }) => bits <= MOST_BITS && distortion > 0);
  const families = [...new Set(points.map(({ family }) => family))];
  const colorOf = (family: string): string => color(families.indexOf(family));
  return {
    legend: families.map((name) => ({ name, color: colorOf(name) })),
    draw: (canvas) => draw(canvas, { points, colorOf, first: new Set(first), ringed }),
  };
}

interface Content {
  readonly points: readonly Rate[];
  readonly colorOf: (family: string) => string;
  readonly first: ReadonlySet<string>;
  readonly ringed: string | undefined;
}

function draw(canvas: Canvas, { points, colorOf, first, ringed }: Content): Element {
  const small = isNarrow(canvas);
  const height = small ? 400 : 460;
  const margin = { marginLeft: 44, marginRight: 12, marginTop: 28, marginBottom: 44 };
  const most = Math.max(1, ...points.map((p) => p.distortion));
  const least = Math.min(...points.map((p) => p.distortion), shannonLimit(8.5));
  const x = {
    domain: [1, MOST_BITS],
    range: [margin.marginLeft, canvas.width - margin.marginRight],
  };
  const y = {
    type: "log" as const,
    domain: [least / 2, most * 1.3],
    range: [height - margin.marginBottom, margin.marginTop],
  };
  const px = Plot.scale({ x });
  const py = Plot.scale({ y });
  const at = (bits: number, distortion: number) => ({ x: px.apply(bits), y: py.apply(distortion) });
  // Then those nearest to the limit.
  const gap = ({ format, bits, distortion }: Rate): number =>
    bits + Math.log2(distortion) / 2 - (first.has(format) ? 100 : 0);
  const marks = [...points]
    .sort((a, b) => gap(a) - gap(b))
    .map((p) => ({ ...at(p.bits, p.distortion), text: p.format }));
  const curve = Array.from({ length: 100 }, (_, i) => 1 + ((MOST_BITS - 1) * i) / 99)
    .map((bits) => ({ bits, limit: shannonLimit(bits) }))
    .filter(({ limit }) => limit >= y.domain[0]!);
  const obstacles = curve.map(({ bits, limit }) => ({ ...at(bits, limit), text: "" }));
  const bounds = {
    left: x.range[0]!,
    right: canvas.width,
    top: y.range[1]!,
    bottom: y.range[0]!,
  };
  const labels = placeLabels(marks, bounds, obstacles);
  return chart(canvas, {
    ...margin,
    height,
    x: { ...x, label: "stored bits per value", ticks: [1, 2, 3, 4, 5, 6, 7, 8, 9], tickSize: 0 },
    y: {
      ...y,
      label: "distortion D",
      ticks: decades(y.domain[0]!, y.domain[1]!).filter((d) => d >= y.domain[0]! && d <= y.domain[1]!),
      tickFormat: powerOfTen,
      tickSize: 0,
      grid: true,
    },
    marks: [
      Plot.areaY(curve, { x: "bits", y1: y.domain[0]!, y2: "limit", fill: "var(--soft)" }),
      Plot.line(curve, { x: "bits", y: "limit", stroke: "currentColor", strokeWidth: 1.5 }),
      Plot.text(["Shannon limit: nothing lies below"], {
        x: () => 1,
        y: () => y.domain[0]!,
        textAnchor: "start",
        dx: 10,
        dy: -12,
        text: (t: string) => t,
        fill: "currentColor",
      }),
      Plot.dot(points, {
        x: "bits",
        y: "distortion",
        r: small ? 3 : 3.5,
        fill: (p: Rate) => colorOf(p.family),
        stroke: "var(--paper)",
        strokeWidth: 1,
        title: (p: Rate) => `${p.format}: ${p.bits.toFixed(3)} bits, D ${p.distortion.toPrecision(3)}`,
      }),
      Plot.dot(
        points.filter((p) => p.format === ringed),
        { x: "bits", y: "distortion", r: 7, stroke: "var(--ink)", strokeWidth: 1.75 },
      ),
      ...(["start", "end", "middle"] as const).map((anchor) =>
        Plot.text(
          labels.filter((l) => l.anchor === anchor),
          {
            x: (l) => px.invert!(l.x),
            y: (l) => py.invert!(l.y),
            text: "text",
            textAnchor: anchor,
            fontSize: 11,
            fill: "var(--ink)",
          },
        ),
      ),
    ],
  });
}
