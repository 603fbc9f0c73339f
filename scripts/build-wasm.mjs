// Compiles assembly/ (the codec's kernels), assembly/attention/ (attention's over tiles) and assembly/model/ (the model's) to build/*.wasm and embeds the bytes
// as modules, so that neither Node nor a bundler nor a browser needs any asset configuration to load them.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import asc from "assemblyscript/asc";

async function build(config, wasm, name, to) {
  const { error, stderr } = await asc.main(["--config", config, "--target", "release"]);
  if (error) {
    console.error(stderr.toString());
    process.exit(1);
  }
  const base64 = readFileSync(wasm).toString("base64");
  const source = `// Generated from assembly/ by scripts/build-wasm.mjs. Do not edit.
export const ${name}: string =
  "${base64}";
`;
  writeFileSync(to, source);
}

mkdirSync("build", { recursive: true });
await build("asconfig.json", "build/kernels.wasm", "KERNELS_BASE64", "src/kernels/embedded.generated.ts");
await build(
  "asconfig.attention.json",
  "build/attention.wasm",
  "ATTENTION_BASE64",
  "src/kernels/embedded-attention.generated.ts",
);
await build("asconfig.model.json", "build/model.wasm", "MODEL_BASE64", "src/model/embedded.generated.ts");
