/** `turboquant decode`: packed bytes back to f32 vectors. */
import type { Command } from "commander";
import { findFormat } from "../formats/registry.js";
import { addCodecOptions, type CodecFlags, openCodec } from "./codec-options.js";
import { UsageError } from "./exit.js";
import { readPacked, writeRows } from "./streams.js";

export function register(program: Command): void {
  addCodecOptions(program.command("decode"))
    .description("decode a format's bytes to f32 vectors, in the original basis")
    .argument("<input>", "packed bytes, or .npy of u1; - is standard input")
    .argument("<output>", "raw little-endian f32 or .npy, (n, dim); - is standard output")
    .option(
      "--rotated",
      "what the engine's own dequantiser returns, rotated and padded (llama/turbo*, vllm, …)",
    )
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant decode --format turbo4 --dim 128 keys.t4 keys.npy
  $ turboquant decode --format llama/turbo3 --dim 128 --rotated cache.bin rotated.f32`,
    )
    .action(async (input: string, output: string, flags: CodecFlags & { rotated?: boolean }) => {
      const format = findFormat(flags.format);
      if (flags.rotated && !format.rotated)
        throw new UsageError(
          `"--rotated" expected a format whose decoder leaves values rotated, got ${format.name}`,
        );
      const codec = openCodec(flags);
      const packed = await readPacked(input, codec.bytesPerVector);
      const values = flags.rotated ? codec.decodeNative(packed) : codec.decode(packed);
      await writeRows(output, values, values.length / (packed.length / codec.bytesPerVector));
    });
}
