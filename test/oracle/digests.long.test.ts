/** The digests of every format over 100,000 vectors. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("are what ships", () => {
  const generator = fileURLToPath(new URL("../../scripts/generate-fixtures.mjs", import.meta.url));
  const ran = spawnSync(process.execPath, [generator, "--check"], { encoding: "utf8" });
  expect([ran.status, ran.stderr]).toEqual([0, ""]);
});
