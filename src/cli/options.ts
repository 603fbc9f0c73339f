/** Options that several commands share, parsed the same way everywhere. */
import { InvalidArgumentError } from "commander";

/** A whole number. @throws InvalidArgumentError, which the parser reports as wrong usage. */
export function integer(text: string): number {
  const value = Number(text);
  if (/^[+-]?\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError(`expected a whole number, got "${text}".`);
}

/** A seed in 0 … 2^64 − 1. */
export function seed(text: string): bigint {
  if (/^\d+$/.test(text) && BigInt(text) < 1n << 64n) return BigInt(text);
  throw new InvalidArgumentError(`expected a whole number in 0..2^64 - 1, got "${text}".`);
}

/** Channel numbers: "0,5,17". */
export const channels = (text: string): number[] => text.split(",").map((part) => integer(part.trim()));

/** A time in seconds, more than 0 and at most a day. */
export function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && value <= 86400) return value;
  throw new InvalidArgumentError(`expected seconds in (0, 86400], got "${text}".`);
}

/** Dimensions: "128" or "64,128,96". */
export const dims = (text: string): number[] => [
  ...new Set(text.split(",").map((part) => integer(part.trim()))),
];

/** A share "i/n", i from 1 to n. */
export function share(text: string): readonly [number, number] {
  const [, i, n] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  const [part, of] = [Number(i), Number(n)];
  if (part >= 1 && part <= of && of <= 1e6) return [part, of];
  throw new InvalidArgumentError(`expected i/n with i from 1 to n, got "${text}".`);
}

/** A number of threads. */
export function jobs(text: string): number {
  const value = integer(text);
  if (value >= 1 && value <= 1024) return value;
  throw new InvalidArgumentError(`expected 1 … 1024 threads, got "${text}".`);
}
