/** docs/cache.md: its program runs against the built package and prints what it should. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import ts from "typescript";
import { expect, test } from "vitest";

const root = new URL("../../", import.meta.url);

test("the program runs", () => {
  const [, program] = /```ts\n([\s\S]*?)```/.exec(readFileSync(new URL("docs/cache.md", root), "utf8"))!;
  const { outputText } = ts.transpileModule(program!, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  const ran = spawnSync(process.execPath, ["--input-type=module", "-e", outputText], {
    cwd: root,
    encoding: "utf8",
  });
  expect(ran.stderr).toBe("");
  expect(ran.stdout).toBe("40 30 3072 3\ntrue\n");
});
