/** `turboquant formats`: what there is and what it costs. */
import Table from "cli-table3";
import type { Command } from "commander";
import { listFormats } from "../formats/list-formats.js";

export function register(program: Command): void {
  program
    .command("formats")
    .description("list every format: bytes per vector and bits per value, every stored bit counted")
    .option("--json", "for machines")
    .addHelpText("after", "\nExample:\n  $ turboquant formats --json | jq '.[].name'")
    .action(({ json }: { json?: boolean }) => {
      const formats = listFormats();
      if (json) {
        process.stdout.write(`${JSON.stringify(formats, null, 2)}\n`);
        return;
      }
      const table = new Table({
        head: ["format", "family", "dims", "bytes at 64", "128", "256", "bits/value at 128", "verified"],
        colAligns: ["left", "left", "left", "right", "right", "right", "right", "left"],
        colWidths: [null, null, null, null, null, null, null, 44],
        wordWrap: true,
        style: { head: [], border: [], compact: true },
      });
      for (const f of formats) {
        const { 64: small, 128: middle, 256: large } = f.bytesPerVector;
        const bits = f.bitsPerValue[128];
        table.push([
          f.name,
          f.family,
          f.dims,
          small ?? "–",
          middle ?? "–",
          large ?? "–",
          bits ?? "–",
          f.verified,
        ]);
      }
      process.stdout.write(`${table.toString()}\n`);
    });
}
