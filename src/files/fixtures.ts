/** What ships with the package: where it lies, and vectors by name: `native/turbo4`, `definition/turbo3`, `digests`. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../../fixtures/", import.meta.url));
/** The folder of native vectors. */
export const NATIVE_VECTORS = join(FOLDER, "native");
/** Keys, values and queries of SmolLM2-135M. */
export const RECORDING = join(FOLDER, "recordings", "smollm2-hound-kv.safetensors");
const EXTENSION = ".msgpack";

/** Names of all that ship, in order. */
export async function fixtureNames(): Promise<string[]> {
  const files = await readdir(FOLDER, { recursive: true });
  return files
    .filter((f) => f.endsWith(EXTENSION))
    .map((f) => f.slice(0, -EXTENSION.length).replaceAll("\\", "/"))
    .sort();
}

/** The bytes of a fixture, or of a file of one's own. @throws Error ENOENT for what is neither. */
export async function readFixture(nameOrPath: string): Promise<Uint8Array> {
  const shipped = join(FOLDER, `${nameOrPath}${EXTENSION}`);
  return new Uint8Array(await readFile(existsSync(shipped) ? shipped : nameOrPath));
}
