/** One vector: its values, its rotated coordinates in their cells, its bytes. */
import { html, type Part } from "../src/report/html/html.js";
import { place } from "./elements.js";
import { setHtml, showFigures } from "./figures.js";
import { cellsPlot, vectorPlot } from "./plots/vector.js";
import type { VectorView } from "./protocol.js";

export function showVector(view: VectorView): void {
  const { index, distortion, rotated, x } = view;
  const figures = place("vector").querySelector("#vector-figures") ?? document.createElement("div");
  const bytes = place("vector").querySelector("#vector-bytes") ?? document.createElement("div");
  figures.id = "vector-figures";
  bytes.id = "vector-bytes";
  place("vector").replaceChildren(figures, bytes);
  showFigures(figures, [
    {
      title: `Vector ${index}, as it came and decoded`,
      definition: `Values of all ${x.length} coordinates. D = |x − x′|² / |x|² = ${distortion.toPrecision(3)}.`,
      summary: `D ${distortion.toPrecision(3)}.`,
      drawing: vectorPlot(view),
    },
    ...(rotated
      ? [
          {
            title: `Vector ${index}, rotated, in its cells`,
            definition:
              "Rotated coordinates in units of N(0,1) (blue), the centroid that each code stands for (orange), and the boundaries of the cells (lines across). What lies between blue and orange is the error.",
            summary: `${rotated.codes.length} coordinates in ${rotated.centroids.length} cells.`,
            drawing: cellsPlot(rotated),
          },
        ]
      : []),
  ]);
  setHtml(bytes, [
    html`<h3>Its ${view.bytes.length} bytes</h3>
<pre class="hex" id="hex" aria-label="Bytes in hexadecimal">${hex(view)}</pre>
<p class="hint">${
      rotated
        ? "Bold: scales. The rest are codes."
        : "Scales, codes and what else the format stores, as they lie in memory."
    }</p>`,
    rotated &&
      html`<h3>Its codes</h3>
<pre class="hex" id="codes" aria-label="Codes, coordinate by coordinate">${Array.from(rotated.codes).join(" ")}</pre>`,
  ]);
}

function hex({ bytes, rotated }: VectorView): Part {
  const scales = new Set(rotated?.normBytes);
  return Array.from(bytes, (byte, i) => {
    const text = byte.toString(16).padStart(2, "0");
    return [scales.has(i) ? html`<b>${text}</b>` : text, i + 1 < bytes.length && " "];
  });
}
