/** `turboquant codebook`: the Lloyd–Max quantiser of a distribution, solved on the spot in f64. */
import type { Command } from "commander";
import { type Distribution, lloydMax } from "../core/lloyd-max.js";
import { UsageError } from "./exit.js";
import { integer } from "./options.js";

export function register(program: Command): void {
  program
    .command("codebook")
    .description("solve a Lloyd-Max codebook: of N(0,1), or of a coordinate of a unit vector")
    .requiredOption("-b, --bits <n>", "bits per coordinate, 1 to 8", integer)
    .option(
      "-d, --dim <n>",
      "a coordinate of a uniform unit vector of this many dimensions (8 or more)",
      integer,
    )
    .option("--gaussian", "N(0,1) (the default)")
    .option("--json", "{ bits, distribution, centroids, boundaries, distortion }, ascending, all digits")
    .addHelpText(
      "after",
      "\nExamples:\n  $ turboquant codebook --bits 4 --gaussian\n  $ turboquant codebook --bits 3 --dim 128 --json",
    )
    .action(
      ({ bits, dim, gaussian, json }: { bits: number; dim?: number; gaussian?: boolean; json?: boolean }) => {
        if (dim !== undefined && gaussian)
          throw new UsageError('"--dim" and "--gaussian" expected one of the two, got both');
        const distribution: Distribution = dim === undefined ? "gaussian" : { sphere: dim };
        const book = lloydMax({ bits, distribution });
        const centroids = Array.from(book.centroids);
        const boundaries = Array.from(book.boundaries);
        if (json) {
          process.stdout.write(
            `${JSON.stringify({ bits, distribution, centroids, boundaries, distortion: book.distortion }, null, 2)}\n`,
          );
          return;
        }
        const name = dim === undefined ? "N(0,1)" : `a coordinate of a unit vector in ${dim} dimensions`;
        process.stdout.write(`Lloyd-Max, ${bits} bits, ${name}\n`);
        process.stdout.write(`centroids   ${centroids.map(digits).join(" ")}\n`);
        process.stdout.write(`boundaries  ${boundaries.map(digits).join(" ")}\n`);
        process.stdout.write(
          `distortion  ${digits(book.distortion)}  (Shannon limit ${digits(4 ** -bits)})\n`,
        );
      },
    );
}

const digits = (value: number): string => String(Number(value.toPrecision(10)));
