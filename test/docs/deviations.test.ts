/** docs/deviations.md is what the sources say, and the README points to it. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const cwd = new URL("../../", import.meta.url);

test("every DEVIATION of the sources is listed", () => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/deviations.mjs", "--check"], {
    cwd,
    encoding: "utf8",
  });
  expect([status, stderr]).toEqual([0, ""]);
  expect(
    readFileSync(new URL("docs/deviations.md", cwd), "utf8").match(/\bDEVIATION\b/g)!.length,
  ).toBeGreaterThan(8);
  expect(readFileSync(new URL("README.md", cwd), "utf8")).toContain("(docs/deviations.md)");
});
