/** The shipped stand-in model and its text. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/models/${name}`, import.meta.url));

export const NOVELS_MODEL = fixture("novels3M-f16.gguf");
export const HOUND_TEXT = fixture("hound_20000.txt");
export const houndText = (): string => readFileSync(HOUND_TEXT, "utf8");
export const houndBook = (): string => readFileSync(fixture("hound_of_the_baskervilles.txt"), "utf8");
