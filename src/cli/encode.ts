/** `turboquant encode`: f32 vectors to packed bytes. */
import { type Command, Option } from "commander";
import { addCodecOptions, type CodecFlags, openCodec } from "./codec-options.js";
import { readVectors, writeRows } from "./streams.js";

export function register(program: Command): void {
  addCodecOptions(program.command("encode"))
    .description("encode f32 vectors to a format's bytes")
    .argument("<input>", "raw little-endian f32 or .npy, (n, dim); - is standard input")
    .argument("<output>", "packed bytes, or .npy of u1; - is standard output")
    .addOption(
      new Option("--non-finite <policy>", "NaN, infinities, fp16 overflow (our own formats)")
        .choices(["reject", "sanitize"])
        .default("reject"),
    )
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant encode --format turbo4 --dim 128 keys.f32 keys.t4
  $ turboquant encode --format turbo2 --dim 64 --side value --backend wasm values.npy - > values.t2`,
    )
    .action(
      async (input: string, output: string, flags: CodecFlags & { nonFinite: "reject" | "sanitize" }) => {
        const codec = openCodec(flags);
        const packed = codec.encode(await readVectors(input, flags.dim));
        await writeRows(output, packed, codec.bytesPerVector);
        const { counts } = codec;
        const mended = counts && (counts.nonFinite || counts.overflow || counts.underflow);
        if (mended)
          process.stderr.write(
            `note: ${counts.nonFinite} vectors with NaN or infinities mended, ${counts.overflow} scales clamped, ${counts.underflow} scales below fp16 stored as 0\n`,
          );
      },
    );
}
