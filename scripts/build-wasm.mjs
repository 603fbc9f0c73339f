// Compiles assembly/ to build/kernels.wasm and embeds the bytes as a module, so that neither Node nor a
// bundler nor a browser needs any asset configuration to load the kernels.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import asc from "assemblyscript/asc";

mkdirSync("build", { recursive: true });
const { error, stderr } = await asc.main(["--config", "asconfig.json", "--target", "release"]);
if (error) {
  console.error(stderr.toString());
  process.exit(1);
}
const base64 = readFileSync("build/kernels.wasm").toString("base64");
const source = `// Generated from assembly/ by scripts/build-wasm.mjs. Do not edit.
export const KERNELS_BASE64 =
  "${base64}";
`;
writeFileSync("src/kernels/embedded.generated.ts", source);
