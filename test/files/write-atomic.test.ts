/** A process that is told to end while it writes a file leaves what was there and nothing beside it. */
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const MODULE = new URL("../../dist/files/write-atomic.js", import.meta.url).href;

/** Writes a part, says so, and goes on in small parts for ever. */
const PROGRAM = `
  const { writeAtomic } = await import(${JSON.stringify(MODULE)});
  function* parts() {
    yield new Uint8Array(100000);
    process.stdout.write("go");
    for (let i = 0; ; i++) yield new Uint8Array(10);
  }
  await writeAtomic(process.argv[1], parts());`;

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("%s in the middle of a file", async (signal) => {
  const folder = await mkdtemp(join(tmpdir(), "write-"));
  const path = join(folder, "out.bin");
  await writeFile(path, "old");
  const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", (_, by) => resolve(by)));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  expect((await readdir(folder)).length).toBe(2);
  child.kill(signal);
  expect(await ended).toBe(signal);
  expect(await readdir(folder)).toEqual(["out.bin"]);
  expect(await readFile(path, "utf8")).toBe("old");
  await rm(folder, { recursive: true });
});
