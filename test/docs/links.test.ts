/** What the texts link to is there: pictures, other pages, and the headings of pages. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const pages = [".", "docs"].flatMap((folder) =>
  readdirSync(join(ROOT, folder))
    .filter((file) => file.endsWith(".md"))
    .map((file) => join(folder, file)),
);
const linksOf = (text: string): string[] =>
  [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!).filter((t) => !/^https?:/.test(t));

test.each(pages)("%s: every link leads somewhere", (page) => {
  const missing = linksOf(readFileSync(join(ROOT, page), "utf8")).filter((target) => {
    const [file = ""] = target.split("#");
    return file !== "" && !existsSync(join(ROOT, dirname(page), file));
  });
  expect(missing).toEqual([]);
});

test("pictures have words for those who do not see them, and each is used", () => {
  const texts = pages.map((page) => readFileSync(join(ROOT, page), "utf8"));
  const shown = texts.flatMap((text) => [...text.matchAll(/!\[([^\]]*)\]\((?:docs\/)?pictures\/([^)]+)\)/g)]);
  for (const [, words, file] of shown) expect([file, words!.length > 30]).toEqual([file, true]);
  expect([...new Set(shown.map(([, , file]) => file))].sort()).toEqual(
    readdirSync(join(ROOT, "docs/pictures")).sort(),
  );
});
