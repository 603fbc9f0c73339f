#!/usr/bin/env node
/** The command line `turboquant`: one file per command; this one gathers them and gives exit codes their meaning. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { run } from "./exit.js";

/** Commands by name, in the order of the help. One is loaded alone where it is named: all together take as much memory as Node. */
const COMMANDS: Readonly<Record<string, () => Promise<{ register(program: Command): void }>>> = {
  report: () => import("./report.js"),
  formats: () => import("./formats.js"),
  encode: () => import("./encode.js"),
  decode: () => import("./decode.js"),
  codebook: () => import("./codebook.js"),
  selftest: () => import("./selftest.js"),
  record: () => import("./record.js"),
  eval: () => import("./eval.js"),
  verify: () => import("./verify.js"),
  merge: () => import("./merge.js"),
  identify: () => import("./identify.js"),
  vectors: () => import("./vectors.js"),
  centre: () => import("./centre.js"),
  plan: () => import("./plan.js"),
  profile: () => import("./profile.js"),
  memory: () => import("./memory.js"),
  "serve-config": () => import("./serve-config.js"),
  "check-server": () => import("./check-server.js"),
  dflash: () => import("./dflash.js"),
};

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

const program = new Command("turboquant")
  .description("TurboQuant KV-cache compression: codec, formats, and a correctness oracle for native forks.")
  .version(version)
  .addHelpText(
    "after",
    `
Exit codes: 0 done, 1 bad data or a failed check, 2 wrong usage.

Examples:
  $ turboquant report
  $ turboquant formats
  $ turboquant encode --format turbo4 --dim 128 keys.f32 keys.t4`,
  );

const named = process.argv[2] ?? "";
for (const name of Object.hasOwn(COMMANDS, named) ? [named] : Object.keys(COMMANDS))
  (await COMMANDS[name]!()).register(program);

await run(program, process.argv);
