/** HTML as values: what is put into a template is escaped unless it is HTML already. */
export class Html {
  constructor(readonly text: string) {}
}

export type Part = Html | string | number | null | undefined | false | readonly Part[];

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const textOf = (part: Part): string => {
  if (part === null || part === undefined || part === false) return "";
  if (part instanceof Html) return part.text;
  if (Array.isArray(part)) return part.map(textOf).join("");
  return String(part).replace(/[&<>"']/g, (c) => ESCAPES[c]!);
};

/** html`<p>${text}</p>`: text, numbers, lists and other templates; null and false leave nothing. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Html =>
  new Html(strings.reduce((all, piece, i) => all + textOf(parts[i - 1]) + piece));

/** Text that is HTML: an SVG that was drawn, a style sheet. */
export const raw = (text: string): Html => new Html(text);
