/**
 * What is wrong with how a page looks, found by the browser that lays it out: content wider than the screen, text that is
 * cut or lies over other text, plots without marks.
 */
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";

export interface Look {
  readonly width: number;
  readonly scheme: "light" | "dark";
}

/** Desk and phone, light and dark. */
export const LOOKS: readonly Look[] = [1280, 390].flatMap((width) =>
  (["light", "dark"] as const).map((scheme) => ({ width, scheme })),
);

export async function withLook<T>(
  browser: Browser,
  { width, scheme }: Look,
  use: (page: Page) => Promise<T>,
): Promise<T> {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme });
  try {
    return await use(await context.newPage());
  } finally {
    await context.close();
  }
}

/** What axe finds in a page, with the elements. */
export async function axeViolations(page: Page): Promise<[string, string[]][]> {
  await page.evaluate(axe.source); // by the debugger: a page's policy lets no script in
  const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run());
  return violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 120))]);
}

/** One line for each fault; none if all is well. */
export const layoutFaults = (page: Page): Promise<string[]> => page.evaluate(faultsInPage);

/** Runs in the page: it can use nothing from here. */
function faultsInPage(): string[] {
  const faults: string[] = [];
  const screen = document.documentElement.clientWidth;
  const nameOf = (e: Element): string =>
    `${e.tagName.toLowerCase()} "${(e.textContent ?? "").trim().replace(/\s+/g, " ").slice(0, 40)}"`;
  const visible = (e: Element): boolean => e.getClientRects().length > 0;
  // Where a box may scroll by itself, what it holds may be wider than the screen.
  const scrolls = (e: Element): boolean => {
    for (let up: Element | null = e; up; up = up.parentElement)
      if (/auto|scroll/.test(getComputedStyle(up).overflowX)) return true;
    return false;
  };
  if (document.documentElement.scrollWidth > screen)
    faults.push(`the page is ${document.documentElement.scrollWidth} wide, the screen ${screen}`);
  for (const e of Array.from(document.body.querySelectorAll("*"))) {
    if (!visible(e) || e.closest(".visually-hidden, .skip")) continue;
    const style = getComputedStyle(e);
    const box = e.getBoundingClientRect();
    if (!e.closest("svg") && !scrolls(e) && (box.right > screen + 1 || box.left < -1))
      faults.push(`${nameOf(e)} reaches from ${Math.round(box.left)} to ${Math.round(box.right)}`);
    if (/hidden|clip/.test(style.overflowX) && e.scrollWidth > e.clientWidth + 1 && !e.closest("svg"))
      faults.push(`${nameOf(e)} is cut: ${e.scrollWidth} in ${e.clientWidth}`);
    if (e instanceof HTMLSelectElement) {
      const pen = document.createElement("canvas").getContext("2d")!;
      pen.font = style.font;
      const text = pen.measureText(e.selectedOptions[0]?.textContent ?? "").width;
      // The arrow takes about twenty pixels.
      const room =
        box.width - Number.parseFloat(style.paddingLeft) - Number.parseFloat(style.paddingRight) - 20;
      if (text > room) faults.push(`${e.id}: its choice needs ${Math.round(text)} of ${Math.round(room)}`);
    }
  }
  const overlap = (a: DOMRect, b: DOMRect): boolean =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
  for (const svg of Array.from(document.querySelectorAll("svg"))) {
    if (!visible(svg)) continue;
    const label = svg.getAttribute("aria-label") ?? "";
    const marks = Array.from(svg.querySelectorAll("circle, rect, path, line")).filter((m) => {
      const { width, height } = m.getBoundingClientRect();
      return width + height > 0;
    });
    if (marks.length < 2) faults.push(`${label}: an empty plot`);
    const texts = Array.from(svg.querySelectorAll("text")).filter((t) => visible(t) && t.textContent !== "");
    const boxes = texts.map((t) => t.getBoundingClientRect());
    if (texts.length === 0) faults.push(`${label}: no text`);
    for (const [i, a] of boxes.entries()) {
      if (a.left < -1 || a.right > screen + 1)
        faults.push(`${label}: ${nameOf(texts[i]!)} from ${Math.round(a.left)} to ${Math.round(a.right)}`);
      for (let j = i + 1; j < boxes.length; j++)
        if (overlap(a, boxes[j]!)) faults.push(`${label}: ${nameOf(texts[i]!)} over ${nameOf(texts[j]!)}`);
    }
  }
  for (const figure of Array.from(document.querySelectorAll("figure"))) {
    const parts = Array.from(figure.children).filter(visible);
    if (!visible(figure)) continue;
    if (!figure.querySelector("svg")) faults.push(`${nameOf(figure)}: no drawing`);
    for (const [i, a] of parts.entries())
      for (const b of parts.slice(i + 1))
        if (overlap(a.getBoundingClientRect(), b.getBoundingClientRect()))
          faults.push(`${nameOf(a)} over ${nameOf(b)}`);
  }
  return [...new Set(faults)].slice(0, 30);
}
