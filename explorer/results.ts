/** What a job found, as figures, plots and tables. */
import { html, type Part } from "../src/report/html/html.js";
import { details, facts } from "../src/report/html/parts.js";
import { histogramPlot } from "../src/report/html/plots/histogram.js";
import { profilePlot } from "../src/report/html/plots/profile.js";
import { rateDistortion } from "../src/report/html/plots/rate-distortion.js";
import { table } from "../src/report/html/table.js";
import { type Rate, shannonLimit } from "../src/report/rates.js";
import { place } from "./elements.js";
import { setHtml, showFigures } from "./figures.js";
import { codesPlot } from "./plots/codes.js";
import { errorsPlot } from "./plots/errors.js";
import type { Settings, Summary } from "./protocol.js";

const count = (n: number): string => n.toLocaleString("en-US");
const precise = (n: number): string => (n === 0 ? "0" : n.toPrecision(4));

export function showSummary(summary: Summary, sha256: string | null): void {
  showFacts(summary, sha256);
  showRotation(summary);
  showErrors(summary);
}

function showFacts(s: Summary, sha256: string | null): void {
  const { vectors, bytesPerVector, bitsPerValue, distortion, cosine, encodeNs, backend, mended } = s;
  const limit = shannonLimit(bitsPerValue);
  const entries: (readonly [string, Part])[] = [
    ["Bits per value, every bit counted", bitsPerValue.toFixed(3)],
    ["Bytes per vector", bytesPerVector],
    ["Bytes in all", count(vectors * bytesPerVector)],
    ["Distortion D", html`<span id="distortion" data-value="${distortion}">${precise(distortion)}</span>`],
    ["D over the Shannon limit", distortion > 0 ? `${(distortion / limit).toFixed(2)} ×` : "–"],
    ["Mean cosine", cosine.toFixed(5)],
    [`Encoding, ${backend}`, `${encodeNs.toFixed(0)} ns`],
  ];
  const digest = html`<p class="digest">SHA-256 of the packed bytes: <code id="sha256">${sha256 ?? "when all are coded"}</code></p>`;
  setHtml(place("figures"), [
    facts(entries),
    digest,
    html`<p class="hint">D = Σ|x − x′|² / Σ|x|² over all vectors. No code of b bits per value can do better than 2⁻²ᵇ on independent Gaussian values. Encoding: nanoseconds per vector on this machine, one core, the least of all parts.</p>`,
    mended && mendedText(mended, s),
  ]);
}

function mendedText({ nonFinite, overflow, underflow }: NonNullable<Summary["mended"]>, s: Summary): Part {
  const texts = [
    nonFinite > 0 && `${count(nonFinite)} vectors have NaN or infinities and were mended`,
    overflow > 0 && `${count(overflow)} scales were clamped to the largest half`,
    underflow > 0 && `${count(underflow)} scales are below the smallest half`,
    s.finite < s.vectors && `${count(s.vectors - s.finite)} vectors are left out of D`,
  ].filter((text) => text !== false);
  return texts.length > 0 && html`<p class="alert">${texts.join("; ")}.</p>`;
}

function showRotation({ coordinates }: Summary): void {
  const { format, vectors, before, rmsBefore, rotated } = coordinates;
  const beyond = before.below + before.above;
  const largest = (rms: readonly number[]): string => Math.max(...rms).toFixed(2);
  const cells = rotated && rotated.boundaries.length > 0;
  showFigures(place("rotation"), [
    {
      title: "All coordinates together",
      definition: rotated
        ? `Density of x·√d/‖x‖ over ${count(vectors)} vectors, before and after the rotation of ${format}; dashed: N(0,1)${cells ? ", for which its codebook is made. Orange lines are the boundaries of the codebook's cells, orange dots its centroids" : ". Its codes are not those of single coordinates, so no cells are drawn"}.${beyond > 0 ? ` ${count(beyond)} values lie beyond ±8 before it.` : ""}`
        : `Density of x·√d/‖x‖ over ${count(vectors)} vectors; dashed: N(0,1). ${format} does not rotate all coordinates together.`,
      summary: `Largest root mean square of a coordinate ${largest(rmsBefore)}${rotated ? `, ${largest(rotated.rmsAfter)} after the rotation` : ""}.`,
      drawing: histogramPlot(coordinates),
    },
    {
      title: "Coordinate by coordinate",
      definition:
        "Root mean square of each coordinate of x·√d/‖x‖ over the same vectors; 1 (dashed) if all were alike. A coordinate far above 1 is an outlier channel.",
      summary: `${rmsBefore.length} coordinates.`,
      drawing: profilePlot(coordinates),
    },
  ]);
}

function showErrors({ errors, distortion, codes, coordinates, vectors }: Summary): void {
  const boundaries = coordinates.rotated?.boundaries ?? [];
  const errorsFigure = {
    title: "Error, vector by vector",
    definition: `How many of ${count(vectors)} vectors have which D = |x − x′|² / |x|², on a logarithmic axis; orange: D of all together, where long vectors weigh more.`,
    summary: `D of all is ${precise(distortion)}.`,
    drawing: errorsPlot(errors, distortion),
  };
  const codesFigure = codes && {
    title: "How often each code comes",
    definition:
      "Share of each code over all coordinates; dashed: what N(0,1) gives its cell. The closer the two, the better the codebook fits these vectors.",
    summary: `${codes.length} codes.`,
    drawing: codesPlot(codes, boundaries),
  };
  showFigures(place("errors"), codesFigure ? [codesFigure, errorsFigure] : [errorsFigure]);
}

/** Every format on the first vectors. */
export function showRates(rates: readonly Rate[], vectors: number, { format, dim }: Settings): void {
  const figure = place("rates").querySelector("#rates-figure") ?? document.createElement("div");
  const list = place("rates").querySelector("#rates-table") ?? document.createElement("div");
  figure.id = "rates-figure";
  list.id = "rates-table";
  place("rates").replaceChildren(figure, list);
  const chosen = rates.find((r) => r.format === format);
  showFigures(figure, [
    {
      title: "Distortion against stored bits",
      definition: `D = Σ|x − x′|² / Σ|x|² of every format that takes dimension ${dim}, over the first ${count(vectors)} vectors. No code of b bits per value can do better than 2⁻²ᵇ on independent Gaussian values; a format that does not rotate may use what the vectors have of structure. Ring: ${format}.`,
      summary: chosen ? `${format}: ${chosen.bits.toFixed(3)} bits, D ${precise(chosen.distortion)}.` : "",
      drawing: rateDistortion(rates, [format], format),
    },
  ]);
  setHtml(
    list,
    details(
      `All ${rates.length} formats as a table`,
      table({
        caption: "Every format: bits and distortion",
        rows: rates,
        chosen: (r) => r.format === format,
        columns: [
          { head: "format", text: true, cell: (r) => html`<code>${r.format}</code>` },
          { head: "bits per value", cell: (r) => r.bits.toFixed(3), by: (r) => r.bits },
          { head: "D", cell: (r) => precise(r.distortion), by: (r) => r.distortion },
          {
            head: "bits above the limit",
            cell: (r) => (r.distortion > 0 ? (r.bits + Math.log2(r.distortion) / 2).toFixed(2) : "–"),
            by: (r) => (r.distortion > 0 ? r.bits + Math.log2(r.distortion) / 2 : null),
          },
        ],
      }),
    ),
  );
}
