/** Words for a POSIX shell. */
export const shellQuote = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** `NAME=value … command args`, quoted where it is needed. */
export function shellCommand(env: Readonly<Record<string, string>>, words: readonly string[]): string {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${shellQuote(value)}`);
  return [...variables, ...words.map(shellQuote)].join(" ");
}
