/** `turboquant identify`: which known format bytes are. Exit 1 when none fits. */
import type { Command } from "commander";
import { identify } from "../oracle/identify.js";
import { integer } from "./options.js";
import { readBytes, readVectors } from "./streams.js";

export function register(program: Command): void {
  program
    .command("identify")
    .description("say which known wire format (or historic layout) packed bytes are")
    .requiredOption("--packed <file>", "packed bytes")
    .option(
      "--input <file>",
      "what was encoded: raw f32, .npy or safetensors; tells formats of equal size apart",
    )
    .option("-d, --dim <n>", "values per vector; default: the usual ones", integer)
    .option("--json", "machine-readable")
    .addHelpText("after", "\nExample:\n  $ turboquant identify --packed cache.bin --input x.f32 --dim 128")
    .action(
      async ({
        packed,
        input,
        dim,
        json,
      }: {
        packed: string;
        input?: string;
        dim?: number;
        json?: boolean;
      }) => {
        const found = identify({
          packed: await readBytes(packed),
          ...(input ? { input: await readVectors(input, dim) } : {}),
          ...(dim === undefined ? {} : { dim }),
        }).slice(0, 12);
        if (json) process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
        else
          for (const c of found)
            process.stdout.write(
              `${c.format}${c.side === "value" ? " (values)" : ""}  d=${c.dim}  ${c.vectors} vectors${c.equal === null ? "" : `  ${(100 * c.equal).toFixed(2)} % of bytes equal`}\n`,
            );
      },
    );
}
