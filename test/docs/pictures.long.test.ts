/** The guides' pictures are those that the scripts draw from the recording today. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("scripts/pictures.mjs --check", () => {
  const cwd = fileURLToPath(new URL("../../", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, ["scripts/pictures.mjs", "--check"], {
    cwd,
    encoding: "utf8",
  });
  expect([status, stderr]).toEqual([0, ""]);
});
