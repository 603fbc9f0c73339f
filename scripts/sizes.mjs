// What each entry of the package weighs when an application bundles all of it: own code and, where there are any, the
// packages that it needs, minified, and gzipped.
//   npm run build && node scripts/sizes.mjs [--json]
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const { exports } = JSON.parse(readFileSync("package.json", "utf8"));
const NODE = ["./model", "./oracle/forks", "./oracle/dumps"];

async function bundle(path, platform, packages) {
  const options = { entryPoints: [path], bundle: true, format: "esm", platform, packages, write: false };
  const raw = await build({ ...options, metafile: true, logLevel: "error" });
  const minified = await build({ ...options, minify: true, logLevel: "error" });
  const bytes = minified.outputFiles[0].contents;
  const own = Object.values(raw.metafile.inputs).reduce((sum, { bytes: n }) => sum + n, 0);
  return { raw: own, minified: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
}

const rows = [];
for (const [entry, target] of Object.entries(exports)) {
  if (typeof target === "string") continue;
  const platform = NODE.includes(entry) ? "node" : "browser";
  const own = await bundle(target.default, platform, "external");
  const all = platform === "node" ? undefined : await bundle(target.default, platform, "bundle");
  rows.push({ entry, platform, ...own, withPackages: all?.gzip ?? null });
}
const raw = readFileSync("dist/kernels.wasm");
rows.push({
  entry: "./kernels.wasm",
  platform: "any",
  raw: raw.length,
  minified: raw.length,
  gzip: gzipSync(raw, { level: 9 }).length,
  withPackages: null,
});

if (process.argv.includes("--json")) console.log(JSON.stringify(rows, null, 2));
else {
  const kb = (n) => (n === null ? "" : (n / 1000).toFixed(1));
  console.log(
    "| entry | for | source, kB | minified, kB | gzip, kB | gzip with packages, kB |\n|---|---|--:|--:|--:|--:|",
  );
  for (const row of rows)
    console.log(
      `| \`${row.entry}\` | ${row.platform} | ${kb(row.raw)} | ${kb(row.minified)} | ${kb(row.gzip)} | ${kb(row.withPackages)} |`,
    );
}
