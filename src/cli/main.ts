#!/usr/bin/env node
/** The command line `turboquant`: one file per command; this one gathers them and gives exit codes their meaning. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import * as centre from "./centre.js";
import * as checkServer from "./check-server.js";
import * as codebook from "./codebook.js";
import * as decode from "./decode.js";
import * as dflash from "./dflash.js";
import * as encode from "./encode.js";
import * as evaluate from "./eval.js";
import { run } from "./exit.js";
import * as formats from "./formats.js";
import * as identify from "./identify.js";
import * as memory from "./memory.js";
import * as merge from "./merge.js";
import * as plan from "./plan.js";
import * as profile from "./profile.js";
import * as record from "./record.js";
import * as report from "./report.js";
import * as selftest from "./selftest.js";
import * as serveConfig from "./serve-config.js";
import * as vectors from "./vectors.js";
import * as verify from "./verify.js";

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

for (const command of [report, formats, encode, decode, codebook, selftest, record, evaluate, verify])
  command.register(program);
for (const command of [merge, identify, vectors, centre]) command.register(program);
for (const command of [plan, profile, memory, serveConfig, checkServer, dflash]) command.register(program);

await run(program, process.argv);
