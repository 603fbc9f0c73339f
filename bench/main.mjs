// npm run bench [-- SUITE…] [--json FILE] [--markdown]: verify, then time, all in one process. Medians of rounds
// [lowest–highest]; at the end what the issues require, and whether it is met.
import { writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { judge, markdown } from "./must-show.mjs";

const SUITES = {
  attention: () => import("./attention.mjs"),
  threads: () => import("./threads.mjs"),
  modules: () => import("./modules.mjs"),
  kernels: () => import("./kernels.mjs"),
  cache: () => import("./cache.mjs"),
  peers: () => import("./peers.mjs"),
  trellis: () => import("./trellis.mjs"),
};

function usage() {
  console.error(`usage: bench/main.mjs [--json FILE] [--markdown] [${Object.keys(SUITES).join("|")}]…`);
  process.exit(2);
}
function commandLine() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { json: { type: "string" }, markdown: { type: "boolean", default: false } },
    });
  } catch {
    return usage();
  }
}
const { values, positionals: wanted } = commandLine();
if (wanted.some((name) => !(name in SUITES))) usage();

const environment = {
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  load: loadavg()[0].toFixed(1),
  node: process.version,
  v8: process.versions.v8,
  platform: `${process.platform}-${process.arch}`,
  date: new Date().toISOString(),
};
const say = values.markdown ? () => {} : console.log;
say(Object.values(environment).join(" · "));

const results = {};
for (const [name, load] of Object.entries(SUITES)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const suite = await load();
  say(`\n${suite.title}\n${suite.head}`);
  results[name] = await suite.run((row) => say(suite.line(row)));
}
const mustShow = judge(results);
if (values.json)
  writeFileSync(values.json, `${JSON.stringify({ environment, mustShow, results }, null, 2)}\n`);
const table = markdown(mustShow, environment);
console.log(values.markdown ? table : `\n${table}`);
