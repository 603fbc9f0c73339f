/** Reads a model's shape from a GGUF file, a config.json, or a folder that holds one. No network. */
import { FormatError } from "../core/format-error.js";
import { nodeModule } from "../files/node.js";
import { shapeFromGguf } from "./gguf-shape.js";
import { shapeFromHfConfig } from "./hf-shape.js";
import type { ModelShape } from "./model-shape.js";

const files = () => nodeModule("node:fs/promises", "readModelShape");
const paths = () => nodeModule("node:path", "readModelShape");

/** @throws FormatError("BAD_FILE") for a file that is no usable model; the file system's error when it cannot be read. */
export async function readModelShape(path: string): Promise<ModelShape> {
  if ((await files().stat(path)).isDirectory()) return readConfig(paths().join(path, "config.json"));
  return path.endsWith(".json") ? readConfig(path) : readGguf(path);
}

async function readGguf(path: string): Promise<ModelShape> {
  const { gguf, parseGgufShardFilename } = await import("#huggingface-gguf");
  const fileBytes = (await files().stat(path)).size;
  let parsed: Awaited<ReturnType<typeof gguf>>;
  try {
    // The parser takes a name without this ending for an address: only local files are ever opened here.
    if (!path.endsWith(".gguf")) throw new Error("the name does not end in .gguf");
    parsed = await gguf(path, { allowLocalFile: true });
  } catch (error) {
    throw new FormatError("BAD_FILE", `${path}: ${(error as Error).message.split("\n")[0]}`);
  }
  // A file cut short parses as empty tensors, or as tensors that begin after its end.
  const { tensorInfos, tensorDataOffset } = parsed;
  const cut = tensorInfos.some((t) => t.name === "" || tensorDataOffset + t.offset >= BigInt(fileBytes));
  if (cut) throw new FormatError("BAD_FILE", `${path}: the file is cut short`);
  const metadata: Readonly<Record<string, unknown>> = { ...parsed.metadata };
  const shard = parseGgufShardFilename(paths().basename(path));
  if (shard === null) return shapeFromGguf(metadata, fileBytes);
  const { bytes, found } = await shardBytes(path, Number(shard.total));
  const shape = shapeFromGguf(metadata, bytes);
  const missing = Number(shard.total) - found;
  if (missing === 0) return shape;
  return {
    ...shape,
    assumed: [...shape.assumed, `${missing} of ${shard.total} parts of the weights are not here`],
  };
}

async function shardBytes(path: string, total: number): Promise<{ bytes: number; found: number }> {
  const name = paths().basename(path);
  let bytes = 0;
  let found = 0;
  for (let part = 1; part <= total; part++) {
    const sibling = name.replace(/-\d{5}-of-/, `-${String(part).padStart(5, "0")}-of-`);
    const size = await files()
      .stat(paths().join(paths().dirname(path), sibling))
      .then(
        (s) => s.size,
        () => null,
      );
    if (size === null) continue;
    bytes += size;
    found++;
  }
  return { bytes, found };
}

async function readConfig(path: string): Promise<ModelShape> {
  const text = await files().readFile(path, "utf8");
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new FormatError("BAD_FILE", `${path}: ${(error as Error).message}`);
  }
  try {
    return shapeFromHfConfig(json, await safetensorsBytes(paths().dirname(path)));
  } catch (error) {
    if (error instanceof FormatError) throw new FormatError(error.code, `${path}: ${error.message}`);
    throw error;
  }
}

/** Sum of the *.safetensors beside a config.json; null when there are none. */
async function safetensorsBytes(folder: string): Promise<number | null> {
  const names = (await files().readdir(folder)).filter((name) => name.endsWith(".safetensors"));
  if (names.length === 0) return null;
  const sizes = await Promise.all(
    names.map(async (name) => (await files().stat(paths().join(folder, name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
