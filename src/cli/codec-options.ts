/** The options by which `encode` and `decode` choose a codec. */
import { type Command, Option } from "commander";
import { SCALE_RULES, type ScaleRule } from "../core/scale.js";
import { type Codec, createCodec } from "../formats/codec.js";
import type { Side } from "../formats/format.js";
import { channels, integer, seed } from "./options.js";

export interface CodecFlags {
  readonly format: string;
  readonly dim: number;
  readonly seed: bigint;
  readonly scale?: ScaleRule;
  readonly side: Side;
  readonly backend: "reference" | "wasm";
  readonly outliers?: number[];
}

export function addCodecOptions(command: Command): Command {
  return command
    .requiredOption("-f, --format <name>", "wire format (see `turboquant formats`)")
    .requiredOption("-d, --dim <n>", "values per vector", integer)
    .addOption(new Option("--seed <n>", "seed of the rotation").argParser(seed).default(0n, "0"))
    .addOption(new Option("--scale <rule>", "scale rule; default by side").choices(SCALE_RULES))
    .addOption(
      new Option("--side <side>", "keys or values: defaults and some layouts differ")
        .choices(["key", "value"])
        .default("key"),
    )
    .addOption(
      new Option("--backend <name>", "what runs; the bytes are the same")
        .choices(["reference", "wasm"])
        .default("reference"),
    )
    .addOption(
      new Option("--outliers <list>", "outlier channels of turbo2.5 and turbo3.5: 0,5,17,…").argParser(
        channels,
      ),
    );
}

export function openCodec(flags: CodecFlags & { readonly nonFinite?: "reject" | "sanitize" }): Codec {
  const { format, dim, seed: value, side, backend, scale, outliers, nonFinite } = flags;
  return createCodec(format, {
    dim,
    seed: value,
    side,
    backend,
    ...(scale ? { scale } : {}),
    ...(outliers ? { outliers } : {}),
    ...(nonFinite ? { nonFinite } : {}),
  });
}
