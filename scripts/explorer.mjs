// The explorer as static files in dist/explorer, and a server for them.
//   npm run build && node scripts/explorer.mjs [--port N]       builds and serves until Ctrl-C, at the first free port from 8000
//   npm run build && node scripts/explorer.mjs --build          builds only: copy the folder to any file server
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { build, context } from "esbuild";
import { PAGE_SCRIPT } from "../dist/report/html/page-script.js";
import { BASE, TOKENS } from "../dist/report/html/style.js";

const TO = "dist/explorer";
const { values } = parseArgs({
  options: { build: { type: "boolean" }, port: { type: "string" } },
});

const shared = { bundle: true, minify: true, format: "iife", target: "es2022", logLevel: "warning" };
const worker = await build({ ...shared, entryPoints: ["explorer/worker.ts"], write: false });
mkdirSync(TO, { recursive: true });
await build({
  ...shared,
  entryPoints: ["explorer/main.ts"],
  outfile: `${TO}/explorer.js`,
  define: { WORKER_PROGRAM: JSON.stringify(worker.outputFiles[0].text) },
});
copyFileSync("explorer/index.html", `${TO}/index.html`);
copyFileSync("fixtures/recordings/smollm2-hound-kv.safetensors", `${TO}/recording.safetensors`);
writeFileSync(`${TO}/tables.js`, PAGE_SCRIPT);
writeFileSync(`${TO}/explorer.css`, TOKENS + BASE + readFileSync("explorer/explorer.css", "utf8"));

if (values.build) console.log(`${TO}: static files, for any file server`);
else {
  const options = { servedir: TO, host: "127.0.0.1", ...(values.port ? { port: Number(values.port) } : {}) };
  const server = await (await context({})).serve(options).catch(({ message }) => {
    console.error(`error: ${message.split("\n")[0]}`);
    process.exit(1);
  });
  console.log(`The explorer is at http://127.0.0.1:${server.port}/ until Ctrl-C. Its files are in ${TO}.`);
}
