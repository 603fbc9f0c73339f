// fixtures/native/*.msgpack from recordings of native engines (native-*.json). Fields and provenance texts stay as
// they are; base64 fields (`packed_b64`) become raw bytes without the suffix (`packed`).
//   node scripts/convert-vectors.mjs DIRECTORY            writes the fixtures
//   node scripts/convert-vectors.mjs --check DIRECTORY    compares them with the recordings, exit 1 on a difference
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encode } from "@msgpack/msgpack";

const args = process.argv.slice(2);
const check = args[0] === "--check";
const source = args[check ? 1 : 0];
if (!source) {
  console.error("usage: convert-vectors.mjs [--check] DIRECTORY");
  process.exit(2);
}
const recordings = readdirSync(source).filter((name) => /^native-.*\.json$/.test(name));
if (recordings.length === 0) {
  console.error(`no native-*.json in ${source}`);
  process.exit(2);
}

const raw = (value) => {
  if (Array.isArray(value)) return value.map(raw);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) =>
      key.endsWith("_b64")
        ? [key.slice(0, -4), new Uint8Array(Buffer.from(field, "base64"))]
        : [key, raw(field)],
    ),
  );
};

const target = fileURLToPath(new URL("../fixtures/native/", import.meta.url));
mkdirSync(target, { recursive: true });
let total = 0;
let different = 0;
for (const name of recordings) {
  const text = readFileSync(join(source, name));
  const recordingSha256 = createHash("sha256").update(text).digest("hex");
  const bytes = encode({ ...raw(JSON.parse(text)), recordingSha256 });
  const path = join(target, name.replace(/^native-(.*)\.json$/, "$1.msgpack"));
  total += bytes.length;
  if (!check) writeFileSync(path, bytes);
  else if (!readFileSync(path).equals(bytes)) {
    different++;
    console.error(`${path} is not what ${name} converts to`);
  }
}
console.log(`${recordings.length} files, ${total} bytes${check ? `, ${different} different` : ""}`);
process.exitCode = different > 0 ? 1 : 0;
