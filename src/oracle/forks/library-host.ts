/**
 * The process behind {@link openLibrary}: loads a shared library through koffi and answers the protocol of process.ts
 * with its functions. Started as a program; whatever goes wrong is one line on standard error and exit 3.
 */
import { findFormat } from "../../formats/registry.js";
import type { LibraryHosting } from "./library.js";

/** Behind every buffer that the library fills, to see what it writes past the end. */
const GUARD_BYTES = 4096;
const GUARD = 0xa5;

type Koffi = typeof import("koffi")["default"];
type Row = (from: unknown, to: unknown, values: number) => void;

class HostError extends Error {}

async function loadKoffi(): Promise<Koffi> {
  try {
    return (await import("koffi")).default;
  } catch {
    throw new HostError(
      "shared libraries are called through koffi, which is not installed: npm install koffi",
    );
  }
}

async function openRows(hosting: LibraryHosting): Promise<{ quantize?: Row; dequantize?: Row }> {
  const koffi = await loadKoffi();
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load(hosting.path);
  } catch (error) {
    throw new HostError(`not a loadable library: ${(error as Error).message}`);
  }
  const find = (name: string, from: string, to: string): Row | undefined => {
    try {
      return library.func(name, "void", [from, koffi.out(to), "int64_t"]);
    } catch {
      return undefined;
    }
  };
  const quantize = hosting.quantize && find(hosting.quantize, "const float*", "uint8_t*");
  const dequantize = hosting.dequantize && find(hosting.dequantize, "const uint8_t*", "uint8_t*");
  const missing = [
    hosting.quantize && !quantize && hosting.quantize,
    hosting.dequantize && !dequantize && hosting.dequantize,
  ].filter(Boolean);
  if (missing.length > 0) throw new HostError(`the library has no symbol ${missing.join(" and no ")}`);
  initialise(koffi, library);
  return { ...(quantize ? { quantize } : {}), ...(dequantize ? { dequantize } : {}) };
}

/** Older ggml builds fill their table of halves in ggml_init; newer ones have none and need no call. */
function initialise(koffi: Koffi, library: ReturnType<typeof koffi.load>): void {
  try {
    const params = koffi.struct({ mem_size: "size_t", mem_buffer: "void*", no_alloc: "bool" });
    const init = library.func("ggml_init", "void*", [params]);
    const free = library.func("ggml_free", "void", ["void*"]);
    free(init({ mem_size: 1024, mem_buffer: null, no_alloc: true }));
  } catch {
    // no ggml_init: nothing to fill
  }
}

/** Bytes that the library wrote, with what it wrote past the end, so that an overrun is part of the evidence. */
function filled(memory: Uint8Array, expected: number): Uint8Array {
  let end = memory.length;
  while (end > expected && memory[end - 1] === GUARD) end--;
  return memory.subarray(0, end);
}

async function serve(hosting: LibraryHosting): Promise<void> {
  const { quantize, dequantize } = await openRows(hosting);
  const answer = (op: number, dim: number, vectors: number, payload: Uint8Array): Uint8Array => {
    const { width, bytesPerVector } = findFormat(hosting.format).open({ dim });
    if (op === 1) {
      if (!quantize) return new Uint8Array();
      const memory = new Uint8Array(vectors * bytesPerVector + GUARD_BYTES).fill(
        GUARD,
        vectors * bytesPerVector,
      );
      quantize(padded(new Float32Array(new Uint8Array(payload).buffer), dim, width), memory, vectors * width);
      return filled(memory, vectors * bytesPerVector);
    }
    if (!dequantize) return new Uint8Array();
    const memory = new Uint8Array(4 * vectors * width + GUARD_BYTES).fill(GUARD, 4 * vectors * width);
    dequantize(new Uint8Array(payload), memory, vectors * width);
    const { length } = filled(memory, 4 * vectors * width);
    return memory.subarray(0, 4 * Math.ceil(length / 4));
  };
  let parts: Buffer[] = [];
  let received = 0;
  for await (const part of process.stdin) {
    parts.push(part as Buffer);
    received += (part as Buffer).length;
    while (received >= 16) {
      const all = Buffer.concat(parts);
      parts = [all];
      const length = all.readUInt32LE(12);
      if (received < 16 + length) break;
      const op = all.readUInt32LE(0);
      const bytes = answer(op, all.readUInt32LE(4), all.readUInt32LE(8), all.subarray(16, 16 + length));
      process.stdout.write(new Uint8Array(new Uint32Array([bytes.length]).buffer));
      process.stdout.write(bytes);
      parts = [all.subarray(16 + length)];
      received -= 16 + length;
    }
  }
}

/** Each head behind zeros up to the engine's width, as the engine's graph does it. (n, dim) → (n, width). */
function padded(x: Float32Array, dim: number, width: number): Float32Array {
  if (width === dim) return x;
  const out = new Float32Array((x.length / dim) * width);
  for (let v = 0; v * dim < x.length; v++) out.set(x.subarray(v * dim, (v + 1) * dim), v * width);
  return out;
}

try {
  await serve(JSON.parse(process.argv[2]!) as LibraryHosting);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 3;
}
