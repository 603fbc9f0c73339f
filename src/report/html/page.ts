/** A page that needs nothing but itself: styles, drawings and its one script are inside, the network is forbidden. */
import { sha256 } from "@noble/hashes/sha2.js";
import { type Html, html, type Part, raw } from "./html.js";
import { PAGE_SCRIPT } from "./page-script.js";
import { BASE, PAGE, TOKENS } from "./style.js";

export interface PageContent {
  readonly title: string;
  readonly lead: Part;
  readonly sections: readonly Html[];
  /** What made it: the last line. */
  readonly made: string;
}

const digest = (text: string): string =>
  Buffer.from(sha256(new TextEncoder().encode(text))).toString("base64");

export function page({ title, lead, sections, made }: PageContent): string {
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${digest(PAGE_SCRIPT)}'; base-uri 'none'; form-action 'none'`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · turboquant-kv</title>
<style>${raw(TOKENS + BASE + PAGE)}</style>
</head>
<body>
<header><h1>${title}</h1><div class="lead">${lead}</div></header>
<main>
${sections}
</main>
<footer>${made}</footer>
<script>${raw(PAGE_SCRIPT)}</script>
</body>
</html>
`.text;
}
