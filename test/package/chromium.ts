/** A real browser, headless, and a file server for what it opens. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { type Browser, chromium } from "playwright-core";

/** Debian's and others' names; CHROMIUM says another. */
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
export const chromiumPath: string | undefined = [process.env.CHROMIUM ?? "", ...PLACES].find(
  (path) => path !== "" && existsSync(path),
);

export const NO_CHROMIUM =
  "no Chromium: install it (apt-get install chromium) or say where it is with CHROMIUM";

export const launch = (): Promise<Browser> =>
  chromium.launch({ executablePath: chromiumPath!, args: ["--no-sandbox"] });

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** Serves a folder on a free port, with the types that browsers insist on and nothing more. */
export async function serve(folder: string): Promise<{ readonly url: string; close(): void }> {
  const server: Server = createServer(async ({ url }, response) => {
    const path = join(folder, normalize(decodeURIComponent(new URL(url!, "http://x").pathname)));
    try {
      const bytes = await readFile(path);
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" });
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => server.close(),
  };
}

/** Opens a page and waits for `globalThis.answer`; errors of the page are errors here. */
export async function answerOf<Answer>(browser: Browser, url: string): Promise<Answer> {
  const page = await browser.newPage();
  const wrong: string[] = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("requestfailed", (request) => wrong.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on(
    "response",
    (r) => r.status() >= 400 && !r.url().endsWith(".ico") && wrong.push(`${r.status()} ${r.url()}`),
  );
  try {
    await page.goto(url);
    await page.waitForFunction(() => "answer" in globalThis, undefined, { timeout: 60_000 });
    return (await page.evaluate(() => (globalThis as { answer?: unknown }).answer)) as Answer;
  } catch (error) {
    throw new Error(`${url}: ${(error as Error).message}\n${wrong.join("\n")}`);
  } finally {
    await page.close();
  }
}
