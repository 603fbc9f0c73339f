// fixtures/realizar-golden.msgpack from the recording of the Rust crate (JSON: fnv, quant, traces). Records stay as
// they were recorded; f32 bit patterns stay hex strings.
//   node scripts/convert-realizar-golden.mjs path/to/realizar-golden.json
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { encode } from "@msgpack/msgpack";

const path = process.argv[2];
if (!path) {
  console.error("usage: convert-realizar-golden.mjs RECORDING.json");
  process.exit(2);
}
const text = readFileSync(path);
const { source, fnv, quant, traces } = JSON.parse(text);
const provenance = {
  source,
  licence: "realizar is MIT; these are measurements of its behaviour, none of its code",
  recording: "state of PagedKvCache after every operation; blocks of 32 values; prefix hashes",
  recordingSha256: createHash("sha256").update(text).digest("hex"),
};
const out = new URL("../fixtures/realizar-golden.msgpack", import.meta.url);
const bytes = encode({ provenance, fnv, quant, traces });
writeFileSync(out, bytes);
console.log(`${bytes.length} bytes: ${fnv.length} hashes, ${quant.length} blocks, ${traces.length} traces`);
