/** A fork as a shared library: a process of our own loads it, so that a crash or a hang there is only an answer here. */
import { access } from "node:fs/promises";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Fork, ForkError } from "./fork.js";
import { openProcess } from "./process.js";
import { type Symbols, symbolsOf } from "./symbols.js";

/** Which shared library, and which of its functions. */
export interface LibraryOptions {
  readonly path: string;
  readonly format: string;
  /** Names other than the usual ones; an empty one leaves that half out. */
  readonly symbols?: Partial<Symbols>;
  readonly timeoutMs: number;
}

/** What the process is told. */
export interface LibraryHosting extends Symbols {
  readonly path: string;
  readonly format: string;
}

/** @throws ForkError when there is no such file; TypeError when the format has no usual names and none is given. */
export async function openLibrary({ path, format, symbols, timeoutMs }: LibraryOptions): Promise<Fork> {
  const usual = symbolsOf(format);
  const quantize = symbols?.quantize ?? usual?.quantize ?? "";
  const dequantize = symbols?.dequantize ?? usual?.dequantize ?? "";
  if (quantize === "" && dequantize === "")
    throw new TypeError(
      `"symbols" expected the name of a quantize or dequantize function: no ggml build has ${format} under a usual name`,
    );
  try {
    await access(path);
  } catch {
    throw new ForkError(`${path}: expected a shared library, there is no such file`);
  }
  const hosting: LibraryHosting = { path: resolve(path), format, quantize, dequantize };
  const host = fileURLToPath(new URL("./library-host.js", import.meta.url));
  return openProcess([process.execPath, host, JSON.stringify(hosting)], { name: path, timeoutMs });
}
