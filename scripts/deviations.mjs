// Collects what the sources mark with DEVIATION, in docs/deviations.md. With --check it compares instead.
//   node scripts/deviations.mjs [--check]
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const PAGE = "docs/deviations.md";
const files = readdirSync("src", { recursive: true })
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".generated.ts"))
  .map((file) => file.replaceAll("\\", "/"))
  .sort();

/** From the sentence with the word to the end of its paragraph, one entry for each. */
function deviationsOf(text) {
  const comments = text.match(/\/\*\*[\s\S]*?\*\/|(?:^[ \t]*\/\/.*\n)+/gm) ?? [];
  const found = [];
  for (const comment of comments) {
    const lines = comment.replace(/^\/\*\*|\*\/$/g, "").split("\n");
    const plain = lines.map((line) => line.replace(/^\s*(\*|\/\/)\s?/, ""));
    for (const paragraph of plain.join("\n").split(/\n\s*\n|\n(?=\s*(?:[-·•]|@) )/)) {
      if (!/\bDEVIATION\b/.test(paragraph)) continue;
      found.push(
        paragraph
          .replace(/\s+/g, " ")
          .trim()
          .replace(/^[-·•] /, ""),
      );
    }
  }
  return found;
}

const sections = [];
for (const file of files) {
  const found = deviationsOf(readFileSync(`src/${file}`, "utf8"));
  if (found.length > 0) sections.push(`## src/${file}\n\n${found.map((text) => `- ${text}`).join("\n")}\n`);
}
const page = `# Deviations

Where the code departs from a paper, an engine or a rule of its own, in the words that stand beside it. Written by
\`node scripts/deviations.mjs\` from every comment that says DEVIATION; a test compares. What the main ones cost is in the README.

${sections.join("\n")}`;

if (!process.argv.includes("--check")) writeFileSync(PAGE, page);
else if (readFileSync(PAGE, "utf8") !== page) {
  console.error(`${PAGE} is not what the sources say: run node scripts/deviations.mjs`);
  process.exit(1);
}
