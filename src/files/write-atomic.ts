/**
 * A file is written whole or not at all: the bytes go to a temporary file beside it, which then takes its
 * name in one step. A failure, Ctrl-C or a polite kill leaves what was there before and no temporary file; after
 * kill -9 the temporary file remains.
 *
 * Own code because `write-file-atomic`, the kept package for this, no longer runs on Node 20; as it does, this listens
 * to signals by `signal-exit`, and only while there is something to remove.
 */
import { nodeModule } from "./node.js";

/**
 * Writes `parts` one after the other to `path`.
 * @throws the file system's error, with `path` unchanged.
 */
export async function writeAtomic(path: string, parts: Iterable<Uint8Array>): Promise<void> {
  const { open, rename, rm } = nodeModule("node:fs/promises", "writing a file");
  const { rmSync } = nodeModule("node:fs", "writing a file");
  const { onExit } = await import("signal-exit"); // here, so that a page needs no such module
  const temporary = `${path}.${process.pid}.${Date.now().toString(36)}.tmp`;
  const stop = onExit(() => rmSync(temporary, { force: true }));
  try {
    const file = await open(temporary, "wx");
    try {
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    stop();
  }
}
