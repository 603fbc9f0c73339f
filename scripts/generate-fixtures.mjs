// The fixtures that come from this library's own definition, and a digest of every format.
//   npm run build && node scripts/generate-fixtures.mjs            writes fixtures/definition/*.msgpack, fixtures/digests.msgpack
//   node scripts/generate-fixtures.mjs --check [--vectors N]       compares instead, exit 1 on a difference; digests of the
//                                                                  first N vectors only (1000 or 100000, the default)
//   node scripts/generate-fixtures.mjs --codebooks FILE.json       converts what scripts/independent-codebooks.py wrote
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { encode } from "@msgpack/msgpack";
import { allFormats } from "../dist/formats/registry.js";
import { loadWasm } from "../dist/kernels/index.js";
import { CASES } from "../dist/oracle/cases.js";
import { DEFINITION_SCHEMA } from "../dist/oracle/recorded/definition-file.js";
import { SEEDED_STATE, seededVectors } from "../dist/oracle/seeded-cases.js";

const { values: options } = parseArgs({
  options: { check: { type: "boolean" }, vectors: { type: "string" }, codebooks: { type: "string" } },
});
const root = fileURLToPath(new URL("../fixtures/", import.meta.url));
const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url)));
const OURS = ["turboquant", "polarquant", "plain"];
const PER_CASE = 2;
const DIGESTED = { dim: 128, seed: 0, counts: [1000, 100000] };
let different = 0;

const rawBytes = (x) => new Uint8Array(x.buffer.slice(x.byteOffset, x.byteOffset + x.byteLength));

function emit(name, content) {
  const bytes = encode(content);
  const path = `${root}${name}`;
  if (!options.check) writeFileSync(path, bytes);
  else if (!existsSync(path) || !readFileSync(path).equals(bytes)) {
    different++;
    console.error(`${name} is not what the definition gives`);
  }
  return bytes.length;
}

/** Every input at 128, the plain one at other dimensions, on the other side and under another seed. */
function casesOf(format) {
  const cases = [];
  const add = (name, flags, x, dim, side, seed) => {
    const codec = format.open({ dim, side, seed, nonFinite: "sanitize" });
    const vectors = x.length / dim;
    const packed = new Uint8Array(vectors * codec.bytesPerVector);
    codec.encode(x, packed);
    const decoded = new Float32Array(x.length);
    codec.decode(packed, decoded);
    cases.push({
      name,
      flags,
      dim,
      side,
      seed,
      vectors,
      input: rawBytes(x),
      packed,
      decoded: rawBytes(decoded),
    });
  };
  const first = (c, dim) => c.make(dim).slice(0, PER_CASE * dim);
  for (const c of CASES) add(c.name, c.exposes, first(c, 128), 128, "key", 0);
  const [plain] = CASES;
  add(`${plain.name}-value`, ["scale-rule"], first(plain, 128), 128, "value", 0);
  add(`${plain.name}-seed42`, ["rotation-seed"], first(plain, 128), 128, "key", 42);
  for (const dim of [32, 64, 96, 256, 576])
    if (format.supports(dim)) add(`${plain.name}-d${dim}`, plain.exposes, first(plain, dim), dim, "key", 0);
  return cases;
}

function definitions() {
  let bytes = 0;
  const formats = allFormats().filter((f) => OURS.includes(f.family));
  mkdirSync(`${root}definition`, { recursive: true });
  for (const format of formats)
    bytes += emit(`definition/${format.name}.msgpack`, {
      schema: DEFINITION_SCHEMA,
      type: format.name,
      provenance: `derived: the TypeScript definition of turboquant-kv ${version}`,
      source: format.source,
      cases: casesOf(format),
    });
  console.log(`${formats.length} definitions, ${bytes} bytes`);
}

async function digests() {
  const kernels = await loadWasm();
  const upTo = Number(options.vectors ?? DIGESTED.counts.at(-1));
  const counts = DIGESTED.counts.filter((n) => n <= upTo);
  const { dim, seed } = DIGESTED;
  const found = [];
  for (const format of allFormats()) {
    if (!format.supports(dim)) continue;
    const sides =
      format.vectorBytes(dim, "key") !== format.vectorBytes(dim, "value") || OURS.includes(format.family)
        ? ["key", "value"]
        : ["key"];
    for (const side of sides) {
      const codec = format.open({ dim, seed, side, kernels });
      const make = seededVectors(dim);
      const hash = createHash("sha256");
      const sha256 = {};
      let done = 0;
      const block = new Uint8Array(1000 * codec.bytesPerVector);
      for (const count of counts) {
        for (; done < count; done += 1000) {
          codec.encode(make(1000), block);
          hash.update(block);
        }
        sha256[count] = hash.copy().digest("hex");
      }
      found.push({ format: format.name, side, bytesPerVector: codec.bytesPerVector, sha256 });
    }
  }
  const file = {
    schema: "turboquant-kv/digests/1",
    provenance: `derived: packed bytes of turboquant-kv ${version}, SHA-256 over the vectors in order`,
    vectors: `xorshift32 from state ${SEEDED_STATE}: src/oracle/seeded-cases.ts, docs/fixtures.md`,
    dim,
    seed,
    digests: found,
  };
  if (options.check && counts.length < DIGESTED.counts.length) {
    const { decode } = await import("@msgpack/msgpack");
    const shipped = decode(readFileSync(`${root}digests.msgpack`));
    for (const one of shipped.digests)
      one.sha256 = Object.fromEntries(Object.entries(one.sha256).filter(([n]) => Number(n) <= upTo));
    if (!Buffer.from(encode(shipped)).equals(Buffer.from(encode(file)))) {
      different++;
      console.error(`digests.msgpack is not what the first ${upTo} vectors give`);
    }
  } else emit("digests.msgpack", file);
  console.log(`${found.length} digests of ${upTo} vectors`);
}

function codebooks(path) {
  mkdirSync(`${root}independent`, { recursive: true });
  const books = JSON.parse(readFileSync(path));
  emit("independent/lloyd-max.msgpack", {
    schema: "turboquant-kv/lloyd-max/1",
    provenance: "independent: Newton's method in 40 digits (mpmath), scripts/independent-codebooks.py",
    books,
  });
  console.log(`${books.length} codebooks`);
}

if (options.codebooks) codebooks(options.codebooks);
else {
  definitions();
  await digests();
}
process.exitCode = different > 0 ? 1 : 0;
