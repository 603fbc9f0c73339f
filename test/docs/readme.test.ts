/** The README's program runs as it stands, against the built package. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import ts from "typescript";
import { expect, test } from "vitest";

const root = new URL("../../", import.meta.url);
const readme = readFileSync(new URL("README.md", root), "utf8");

test("the two commands stand at the top", () => {
  const top = readme.split("\n").slice(0, 12).join("\n");
  expect(top).toContain("npm ci && npm start");
  expect(top).toContain("npm ci && npm test");
});

test("every TypeScript block runs", () => {
  const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((m) => m[1]!);
  const printed = ["66000 4.125 1000 128000\n", "100 101 256\n"];
  expect(blocks.length).toBe(printed.length);
  for (const [i, block] of blocks.entries()) {
    const { outputText } = ts.transpileModule(block, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    // Node resolves the package's own name through its exports.
    const ran = spawnSync(process.execPath, ["--input-type=module", "-e", outputText], {
      cwd: root,
      encoding: "utf8",
    });
    expect(ran.stderr).toBe("");
    expect(ran.stdout).toBe(printed[i]);
  }
});
