/** The fenced code blocks of a Markdown file. */
export interface Block {
  readonly language: string;
  readonly code: string;
  readonly line: number;
  /** Why it is not run, where the text says so: `<!-- not run: reason -->` above it. */
  readonly excuse: string | undefined;
}

/** Blocks in order; those in lists may be indented. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  const fence = /(?:<!-- not run: ([^>]+?) -->\s*?\n\s*?\n?)?^( *)```([\w-]*)[^\n]*\n([\s\S]*?)^ *```$/gm;
  for (const match of markdown.matchAll(fence)) {
    const [, excuse, indent, language, code] = match;
    const line = markdown.slice(0, match.index).split("\n").length;
    const text = indent ? code!.replaceAll(new RegExp(`^${indent}`, "gm"), "") : code!;
    blocks.push({ language: language!, code: text, line, excuse });
  }
  return blocks;
}

/** What a program says that it prints: the comment behind each `console.log(…);`. Undefined behind one that says nothing. */
export const promised = (code: string): (string | undefined)[] =>
  code
    .split("\n")
    .filter((line) => /\bconsole\.log\(/.test(line))
    .map((line) => /\); \/\/ (.*)$/.exec(line)?.[1]);
