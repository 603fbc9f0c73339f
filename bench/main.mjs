// npm run bench [-- SUITE…] [-- --json]: verify, then time, all in one process. Medians of rounds [lowest–highest].
import { cpus } from "node:os";
import process from "node:process";

const SUITES = { kernels: () => import("./kernels.mjs"), cache: () => import("./cache.mjs") };

const words = process.argv.slice(2);
const json = words.includes("--json");
const wanted = words.filter((word) => !word.startsWith("--"));
const unknown = wanted.find((name) => !(name in SUITES));
if (unknown !== undefined || words.some((word) => word.startsWith("--") && word !== "--json")) {
  console.error(`usage: bench/main.mjs [--json] [${Object.keys(SUITES).join("|")}]…`);
  process.exit(2);
}

const environment = {
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  node: process.version,
  v8: process.versions.v8,
  platform: `${process.platform}-${process.arch}`,
  date: new Date().toISOString(),
};
const say = json ? () => {} : console.log;
say(Object.values(environment).join(" · "));

const results = {};
for (const [name, load] of Object.entries(SUITES)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const suite = await load();
  say(`\n${suite.title}\n${suite.head}`);
  results[name] = await suite.run((row) => say(suite.line(row)));
}
if (json) console.log(JSON.stringify({ environment, results }, null, 2));
