/** The pages that --html writes, in Chromium, on desks and phones, light and dark, and on paper: see layout.ts. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCodec, randomStream } from "../../src/index.js";
import { turboquant } from "../cli/run.js";
import { chromiumPath, launch, NO_CHROMIUM, serve } from "../package/chromium.js";
import { axeViolations, LOOKS, layoutFaults, withLook } from "./layout.js";

const MODELS = fileURLToPath(new URL("../../fixtures/models/", import.meta.url));
const PAGES = ["report", "verify-faulty", "verify-exact", "plan", "eval"];

if (!chromiumPath) console.log(NO_CHROMIUM);
describe.skipIf(!chromiumPath)("pages", () => {
  let browser: Browser;
  let server: Awaited<ReturnType<typeof serve>>;
  const folder = mkdtempSync(join(tmpdir(), "turboquant-pages-"));
  const at = (name: string): string => join(folder, name);
  beforeAll(async () => {
    const write = (name: string, args: readonly string[], status = 0): void => {
      const ran = turboquant([...args, "--html", at(`${name}.html`)]);
      expect([name, ran.status, ran.stderr.toString()]).toEqual([name, status, expect.any(String)]);
    };
    const stream = randomStream(3, "pages");
    const x = Float32Array.from({ length: 64 * 128 }, () => stream.normal());
    const bytes = createCodec("llama/turbo4", { dim: 128 }).encode(x);
    writeFileSync(at("x.f32"), new Uint8Array(x.buffer));
    writeFileSync(at("exact.bin"), bytes);
    writeFileSync(
      at("faulty.bin"),
      bytes.map((b, i) => (i % 68 < 4 ? b : (b >> 4) | ((b & 15) << 4))),
    );
    const verify = ["verify", "--format", "llama/turbo4", "--dim", "128", "--input", at("x.f32"), "--packed"];
    write("verify-exact", [...verify, at("exact.bin")]);
    write("verify-faulty", [...verify, at("faulty.bin")], 1);
    const model = [
      "--model-size",
      "14",
      "--layers",
      "40",
      "--heads",
      "40",
      "--kv-heads",
      "8",
      "--head-dim",
      "128",
    ];
    write("plan", ["plan", ...model, "--memory", "24", "--chip", "Apple M4 Max"]);
    const run = [
      "--model",
      `${MODELS}novels3M-f16.gguf`,
      "--text",
      `${MODELS}hound_20000.txt`,
      "--ctx",
      "64",
    ];
    write("eval", ["eval", ...run, "--chunks", "4", "--kv", "q8_0,q4_0,turbo4,turbo3,turbo2"]);
    write("report", ["report"]);
    browser = await launch();
    server = await serve(folder);
  }, 600_000);
  afterAll(async () => {
    await browser?.close();
    server?.close();
    rmSync(folder, { recursive: true });
  });

  const open = async (page: Page, name: string): Promise<void> => {
    await page.goto(`${server.url}/${name}.html`);
  };

  describe.each(LOOKS)("$width px, $scheme", (look) => {
    test.each(PAGES)("%s: nothing overlaps, is cut or empty; axe finds nothing", async (name) => {
      await withLook(browser, look, async (page) => {
        await open(page, name);
        expect(await layoutFaults(page)).toEqual([]);
        for (const closed of await page.locator("details").all()) await closed.locator("summary").click();
        expect(await layoutFaults(page)).toEqual([]);
        expect(await axeViolations(page)).toEqual([]);
      });
    });
  });

  test.each(PAGES)("%s prints: light whatever the screen, everything open, nothing cut", async (name) => {
    // A4 less a margin of 1.5 cm, in CSS pixels.
    await withLook(browser, { width: 680, scheme: "dark" }, async (page) => {
      await open(page, name);
      await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
      await page.emulateMedia({ media: "print", colorScheme: "light" });
      expect(await page.locator("details:not([open])").count()).toBe(0);
      expect(await layoutFaults(page)).toEqual([]);
      const pdf = await page.pdf({ format: "A4" });
      expect(pdf.subarray(0, 5).toString()).toBe("%PDF-");
      expect(pdf.length).toBeGreaterThan(20_000);
    });
  });

  test("tables sort by their heads, by mouse and by keyboard", async () => {
    await withLook(browser, LOOKS[0]!, async (page) => {
      await open(page, "report");
      const table = page.locator("table").first();
      const column = async (i: number): Promise<number[]> =>
        (await table.locator(`tbody tr > :nth-child(${i})`).allTextContents()).map(Number.parseFloat);
      const bits = table.getByRole("button", { name: "bits/value" });
      await bits.click();
      const down = await column(2);
      expect(down).toEqual([...down].sort((a, b) => b - a));
      await bits.focus();
      await page.keyboard.press("Enter");
      expect(await column(2)).toEqual([...down].reverse());
      expect(await table.locator("th[aria-sort]").getAttribute("aria-sort")).toBe("ascending");
    });
  });

  test("the check of looks sees each fault", async () => {
    await withLook(browser, LOOKS[2]!, async (page) => {
      const faultsOf = async (body: string): Promise<string> => {
        await page.setContent(`<!doctype html><html lang="en"><body style="margin:0">${body}</body></html>`);
        return (await layoutFaults(page)).join("\n");
      };
      const svg = (content: string): string =>
        `<svg width="300" height="100" aria-label="plot">${content}</svg>`;
      const marks = '<circle cx="9" cy="9" r="3"/><circle cx="40" cy="9" r="3"/>';
      expect(await faultsOf(svg(`${marks}<text x="20" y="40">fine</text>`))).toBe("");
      expect(await faultsOf('<p style="width:600px">wide</p>')).toContain("the screen 390");
      expect(
        await faultsOf('<p style="width:50px;overflow:hidden;white-space:nowrap">this is cut off</p>'),
      ).toContain("cut");
      expect(await faultsOf(svg('<text x="20" y="40">alone</text>'))).toContain("an empty plot");
      expect(
        await faultsOf(svg(`${marks}<text x="20" y="40">one</text><text x="30" y="42">two</text>`)),
      ).toContain("over");
      expect(await faultsOf("<figure><h3>none</h3></figure>")).toContain("no drawing");
    });
  });
});
