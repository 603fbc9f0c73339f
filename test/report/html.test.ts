/** The pages that --html writes: whole, self-contained, with marks in every plot and a definition to every figure. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseHTML } from "linkedom";
import { beforeAll, describe, expect, test } from "vitest";
import { createCodec, gaussianCodebook, randomStream } from "../../src/index.js";
import { viewCoordinates } from "../../src/report/coordinates.js";
import { html } from "../../src/report/html/html.js";
import { placeLabels, spread } from "../../src/report/html/plots/labels.js";
import { shannonLimit } from "../../src/report/rates.js";
import { turboquant } from "../cli/run.js";

const dir = mkdtempSync(join(tmpdir(), "turboquant-html-"));
const at = (name: string): string => join(dir, name);
const stream = randomStream(3, "html");
const input = Float32Array.from({ length: 32 * 128 }, () => stream.normal());
const check = ["verify", "--format", "llama/turbo4", "--dim", "128", "--input", at("x.f32"), "--packed"];

beforeAll(() => {
  writeFileSync(at("x.f32"), new Uint8Array(input.buffer));
  const bytes = createCodec("llama/turbo4", { dim: 128 }).encode(input);
  writeFileSync(at("good.bin"), bytes);
  const swapped = bytes.map((b, i) => (i % 68 < 4 ? b : (b >> 4) | ((b & 15) << 4)));
  writeFileSync(at("nibbles.bin"), swapped);
});

function pageOf(name: string): Document {
  const text = readFileSync(at(name), "utf8");
  expect(text).not.toMatch(/(?:src|href)=|@import|url\(/);
  expect(text).toContain("default-src &#39;none&#39;");
  const { document } = parseHTML(text);
  for (const figure of Array.from(document.querySelectorAll("figure"))) {
    expect(figure.querySelector("figcaption")!.textContent!.length).toBeGreaterThan(40);
    const drawn = Array.from(figure.querySelectorAll("svg"));
    expect(drawn).toHaveLength(2);
    for (const svg of drawn) {
      expect(svg.getAttribute("aria-label")).toBeTruthy();
      // A verdict with one fault has one bar and its axis.
      expect(svg.querySelectorAll("circle, rect, path, line").length).toBeGreaterThanOrEqual(2);
      expect(svg.outerHTML).not.toMatch(/NaN|undefined|Infinity/);
    }
  }
  return document;
}

describe("pages", () => {
  test("report: every plot, every pair, figures equal the JSON's", () => {
    const ran = turboquant(["report", "--kv", "f16,turbo3,turbo2+mean", "--json", "--html", at("r.html")]);
    expect(ran.status).toBe(0);
    const report = JSON.parse(ran.stdout.toString());
    const document = pageOf("r.html");
    expect(document.querySelectorAll("figure")).toHaveLength(8);
    const cells = Array.from(document.querySelectorAll("table")[0]!.querySelectorAll("tbody tr")).map((row) =>
      Array.from(row.children).map((cell) => cell.textContent),
    );
    expect(cells.map((row) => row[0])).toEqual(["f16", "turbo3", "turbo2+mean"]);
    expect(cells[1]![6]).toBe(report.rows[1].keyDistortion.toPrecision(3));
    expect(report.rows[1].byHead).toHaveLength(9);
    const kl = report.rows[1].byHead.map((h: { softmaxKl: number }) => h.softmaxKl);
    expect(kl.reduce((a: number, b: number) => a + b, 0) / 9).toBeCloseTo(report.rows[1].softmaxKl, 12);
    for (const { format, side, bits, distortion } of report.figures.rates)
      if (side === "value" && /^(turbo|trellis)/.test(format)) {
        expect([format, distortion > shannonLimit(bits)]).toEqual([format, true]);
        expect([format, distortion < 1]).toEqual([format, true]);
      }
    expect(report.figures.attention.every((a: { microseconds: number }) => a.microseconds > 0)).toBe(true);
  });

  test("verify: verdict, fault, first difference; exit codes stay", () => {
    expect(turboquant([...check, at("nibbles.bin"), "--html", at("v.html")]).status).toBe(1);
    const faulty = pageOf("v.html").body.textContent!;
    expect(faulty).toContain("pack-nibble-order");
    expect(faulty).toContain("The first difference");
    expect(turboquant([...check, at("good.bin"), "--html", at("v.html")]).status).toBe(0);
    expect(pageOf("v.html").querySelector("h1")!.textContent).toBe("llama/turbo4: exact");
  });

  test("plan: levels, contexts, the command", () => {
    const model = ["--model-size", "14", "--layers", "40", "--heads", "40", "--kv-heads", "8"];
    const machine = ["--head-dim", "128", "--memory", "24", "--chip", "Apple M4 Max"];
    expect(turboquant(["plan", ...model, ...machine, "--html", at("p.html")]).status).toBe(0);
    const document = pageOf("p.html");
    expect(document.querySelector("pre")!.textContent).toContain("llama-server");
    expect(document.querySelectorAll("table")).toHaveLength(2);
  });

  test("eval: pairs with gates and errors", () => {
    const models = fileURLToPath(new URL("../../fixtures/models/", import.meta.url));
    const run = ["eval", "--model", `${models}novels3M-f16.gguf`, "--text", `${models}hound_20000.txt`];
    const ran = turboquant([
      ...run,
      "--ctx",
      "32",
      "--chunks",
      "2",
      "--kv",
      "q8_0,turbo2",
      "--html",
      at("e.html"),
    ]);
    expect(ran.status).toBe(0);
    const document = pageOf("e.html");
    expect(document.querySelectorAll("figure").length).toBeGreaterThanOrEqual(2);
    expect(document.body.textContent).toMatch(/PASS|BORDERLINE|FAIL/);
  });

  test("a page that cannot be written is an error and leaves nothing", () => {
    const before = readdirSync(dir);
    expect(turboquant([...check, at("good.bin"), "--html", at("absent/v.html")]).status).toBe(1);
    expect(readdirSync(dir)).toEqual(before);
  });

  test("without the packages that draw: wrong usage, said before the work", () => {
    const hook =
      "export async function resolve(s,c,n){if(s==='linkedom')throw Object.assign(new Error(\"Cannot find package 'linkedom'\"),{code:'ERR_MODULE_NOT_FOUND'});return n(s,c)}";
    const loader = `data:text/javascript,${encodeURIComponent(hook)}`;
    const register = `data:text/javascript,${encodeURIComponent(`import{register}from"node:module";register(${JSON.stringify(loader)})`)}`;
    const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
    const args = ["--import", register, main, ...check, at("good.bin"), "--html", at("v.html")];
    const { status, stderr, stdout } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("npm install @observablehq/plot linkedom");
  });
});

test("what is put into a page is escaped", () => {
  expect(html`<b title="${'"'}">${"<script>"}</b>${[1, null, html`<i></i>`]}`.text).toBe(
    '<b title="&quot;">&lt;script&gt;</b>1<i></i>',
  );
});

test("coordinates: the histogram counts all, rotated ones are Gaussian, cells are the codebook's", () => {
  const spiky = input.map((v, i) => (i % 128 === 7 ? 30 * v : v));
  const view = viewCoordinates(spiky, { format: "turbo3", dim: 128, seed: 5, side: "key" });
  const { counts, below, above } = view.rotated!.after;
  expect(counts.reduce((a, b) => a + b, below + above)).toBe(32 * 128);
  expect(Math.max(...view.rmsBefore)).toBeGreaterThan(5);
  expect(Math.max(...view.rotated!.rmsAfter)).toBeLessThan(2.5);
  const { centroids } = gaussianCodebook(3);
  for (const [i, c] of view.rotated!.centroids.entries()) expect(c).toBeCloseTo(centroids[i]!, 6);
  expect(viewCoordinates(spiky, { format: "ggml/q8_0", dim: 128, seed: 0, side: "key" }).rotated).toBeNull();
});

test("labels cover neither one another nor other marks, and stay inside", () => {
  const marks = Array.from({ length: 60 }, (_, i) => ({
    x: 20 + ((i * 53) % 300),
    y: 20 + ((i * 31) % 200),
    text: `label ${i}`,
  }));
  const placed = placeLabels(marks, { left: 0, right: 340, top: 0, bottom: 240 });
  expect(placed.length).toBeGreaterThan(5);
  const boxes = placed.map(({ x, y, text, anchor }) => {
    const w = 5 * text.length;
    const left = anchor === "start" ? x : anchor === "end" ? x - w : x - w / 2;
    return { left, right: left + w, top: y - 5, bottom: y + 5 };
  });
  for (const [i, a] of boxes.entries())
    for (const b of boxes.slice(i + 1))
      expect(a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom).toBe(false);
  const ys = spread([50, 51, 52, 10], 0, 100, 15);
  expect([...ys].sort((a, b) => a - b).every((y, i, all) => i === 0 || y - all[i - 1]! >= 15)).toBe(true);
});
