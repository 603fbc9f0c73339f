/** `turboquant merge`: what `verify --shard` said of each share → the verdict of the whole dump. */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { mergeShards, verdictOf } from "../oracle/dumps/shard.js";
import { parseShard } from "../oracle/dumps/shard-file.js";
import { showVerdict } from "./show-verdict.js";

export function register(program: Command): void {
  program
    .command("merge")
    .description("the verdict of a dump from its shares, in any order")
    .argument("<files...>", "what `verify --shard i/n` wrote, all n of them")
    .option("--json", "machine-readable")
    .addHelpText(
      "after",
      `
Example:
  $ for i in 1 2 3; do turboquant verify --shard $i/3 -f llama/turbo4 -d 128 --input x.f32 --packed fork.bin > $i.json; done
  $ turboquant merge 1.json 2.json 3.json`,
    )
    .action(async (files: string[], { json }: { json?: boolean }) => {
      const shards = await Promise.all(
        files.map(async (file) => parseShard(await readFile(file, "utf8"), file)),
      );
      showVerdict(verdictOf(mergeShards(shards)), json);
    });
}
