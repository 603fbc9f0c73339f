/** What all plots share. A plot is data → drawing; a drawing makes an SVG of a given width in a given document. */
import * as Plot from "@observablehq/plot";

export interface Canvas {
  readonly width: number;
  readonly document: Document;
}

export interface LegendEntry {
  readonly name: string;
  readonly color: string;
}

export interface Drawing {
  readonly draw: (canvas: Canvas) => Element;
  readonly legend?: readonly LegendEntry[];
}

/** Phones get fewer ticks and labels. */
export const isNarrow = ({ width }: Canvas): boolean => width < 520;

export const FONT = 12;
/** Width of text in pixels, a little more than any system font takes. */
export const textWidth = (text: string, size = FONT): number => Math.ceil(0.6 * size * text.length);

export const COLORS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7", "--c8"].map(
  (c) => `var(${c})`,
);
/** The i-th colour; they repeat, with dashes. */
export const color = (i: number): string => COLORS[i % COLORS.length]!;

export function chart({ width, document }: Canvas, options: Plot.PlotOptions): Element {
  const svg = Plot.plot({
    document,
    width,
    marginTop: 28,
    marginBottom: 44,
    style: { fontSize: `${FONT}px`, background: "none" },
    ...options,
  });
  // The picture has one name, given by who shows it; Plot names each of its parts, which no part without a role may be.
  for (const part of Array.from(svg.querySelectorAll("g[aria-label]"))) part.removeAttribute("aria-label");
  return svg;
}

const DIGITS = ["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"];
/** 0.001 as 10⁻³: ticks of logarithmic axes. */
export function powerOfTen(value: number): string {
  const exponent = Math.round(Math.log10(value));
  if (exponent >= -1 && exponent <= 2) return String(10 ** exponent).slice(0, 4);
  return `10${exponent < 0 ? "⁻" : ""}${[...String(Math.abs(exponent))].map((d) => DIGITS[Number(d)]).join("")}`;
}

/** Powers of ten from low to high. */
export function decades(low: number, high: number): number[] {
  const from = Math.floor(Math.log10(low) + 1e-9);
  const to = Math.ceil(Math.log10(high) - 1e-9);
  return Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
}

/** 4096 as 4K, 131072 as 128K. */
export const tokensText = (tokens: number): string =>
  tokens >= 1024 ? `${+(tokens / 1024).toFixed(1)}K` : String(tokens);
