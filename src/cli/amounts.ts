/** Amounts as people write and read them: 32K tokens, 14 GB. K = 1,024; GB = 2^30 bytes, as memory is sold. */
import { styleText } from "node:util";
import { InvalidArgumentError } from "commander";
import { GIB, MIB } from "../plan/kv-bytes.js";

/** "32768", "32K", "1M" → tokens. */
export function tokens(text: string): number {
  const match = /^(\d{1,9})([kKmM]?)$/.exec(text.trim());
  const unit = { "": 1, k: 1024, m: 1024 ** 2 }[match?.[2]?.toLowerCase() ?? ""]!;
  const count = Number(match?.[1] ?? 0) * unit;
  if (count >= 1 && count <= 2 ** 31) return count;
  throw new InvalidArgumentError(`expected a number of tokens like 32768 or 32K, got "${text}".`);
}

/** "32K,64K,128K" → tokens. */
export const tokenCounts = (text: string): number[] => text.split(",").map(tokens);

/** "14", "14.5", "14GB" → bytes. */
export function gigabytes(text: string): number {
  const match = /^(\d{1,6}(?:\.\d+)?)\s*(?:gi?b)?$/i.exec(text.trim());
  const bytes = Math.round(Number(match?.[1] ?? 0) * GIB);
  if (bytes > 0) return bytes;
  throw new InvalidArgumentError(`expected gigabytes like 14 or 14.5, got "${text}".`);
}

/** Below a tenth of a GB in MB (2^20 bytes). */
export const showGb = (bytes: number, digits = 1): string =>
  bytes !== 0 && Math.abs(bytes) < GIB / 10
    ? `${(bytes / MIB).toFixed(1)} MB`
    : `${(bytes / GIB).toFixed(digits)} GB`;

/** 32768 → "32K", 40000 → "40,000". */
export function showTokens(count: number): string {
  if (count >= 1024 ** 2 && count % 1024 ** 2 === 0) return `${count / 1024 ** 2}M`;
  return count >= 1024 && count % 1024 === 0 ? `${count / 1024}K` : count.toLocaleString("en-US");
}

export const showMib = (bytes: number): string =>
  (bytes / 2 ** 20).toLocaleString("en-US", { maximumFractionDigits: 1 });

export const showBits = (bits: number): string => bits.toFixed(3).replace(/\.?0+$/, "");

/** Colours on a terminal only, and not when NO_COLOR asks for none. */
export function paint(style: "red" | "yellow" | "green" | "bold" | "dim", text: string): string {
  const wanted = process.stdout.isTTY === true && !process.env.NO_COLOR;
  return wanted ? styleText(style, text) : text;
}
