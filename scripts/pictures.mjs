// Pictures of the guides, drawn from the shipped recording by the report's own plots: docs/pictures/*.svg.
//   npm run build && node scripts/pictures.mjs [--check]
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseHTML } from "linkedom";
import { loadWasm } from "../dist/index.js";
import { viewCoordinates } from "../dist/report/coordinates.js";
import { histogramPlot } from "../dist/report/html/plots/histogram.js";
import { profilePlot } from "../dist/report/html/plots/profile.js";
import { rateDistortion } from "../dist/report/html/plots/rate-distortion.js";
import { TOKENS } from "../dist/report/html/style.js";
import { measureRates } from "../dist/report/rates.js";
import { readRecording } from "../dist/report/recording.js";

const TO = "docs/pictures";
const WIDTH = 816;
const check = process.argv.includes("--check");

const recording = await readRecording("fixtures/recordings/smollm2-hound-kv.safetensors");
const { dim, tokens, layers } = recording;
const last = layers.at(-1);
// The head of the last layer whose keys have an outlier channel.
const keys = last.key.subarray(2 * tokens * dim, 3 * tokens * dim);
const view = viewCoordinates(keys, { format: "turbo3", dim, seed: 0, side: "key" });
const values = measureRates(recording, await loadWasm()).filter(({ side }) => side === "value");

const pictures = {
  rotation: ["Coordinates before and after the rotation", histogramPlot(view)],
  coordinates: ["Each coordinate before and after the rotation", profilePlot(view)],
  rates: [
    "Distortion against stored bits",
    rateDistortion(values, ["turbo2", "turbo3", "turbo4", "trellis3"]),
  ],
};

mkdirSync(TO, { recursive: true });
let different = 0;
for (const [name, [title, drawing]] of Object.entries(pictures)) {
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const svg = drawing.draw({ width: WIDTH, document });
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", title);
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  // Alone, it brings its own colours, light and dark, and its own paper.
  const style = `${TOKENS} svg { background: var(--paper) !important; color: var(--muted); font-family: system-ui, sans-serif; }`;
  const text = `${svg.outerHTML.replace(">", `><style>${style}</style>`)}\n`;
  const path = `${TO}/${name}.svg`;
  if (!check) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) {
    console.error(`${path}: not what scripts/pictures.mjs draws`);
    different++;
  }
}
process.exit(different > 0 ? 1 : 0);
