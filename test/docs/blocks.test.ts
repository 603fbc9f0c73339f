/**
 * Every code block of the README and the guides runs, against the built package, in a folder with the few files that the
 * texts name. A program prints what its comments say; a command ends with 0. One that cannot run here says why, above it.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCodec } from "../../src/index.js";
import { blocksOf, promised } from "./blocks.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const pages = [
  ...readdirSync(ROOT).filter((f) => f.endsWith(".md")),
  ...readdirSync(join(ROOT, "docs"))
    .filter((f) => f.endsWith(".md"))
    .map((f) => `docs/${f}`),
];
const PROGRAMS = ["ts", "js", "mjs"];
const DATA = ["json", "text", "diff", ""];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "turboquant-docs-"));
  for (const shared of ["node_modules", "fixtures", "examples", "dist"])
    symlinkSync(join(ROOT, shared), join(folder, shared));
  cpSync(join(ROOT, "package.json"), join(folder, "package.json"));
  const x = Float32Array.from({ length: 64 * 128 }, (_, i) => Math.sin(i * i));
  writeFileSync(join(folder, "x.f32"), new Uint8Array(x.buffer));
  writeFileSync(join(folder, "fork.bin"), createCodec("llama/turbo4", { dim: 128 }).encode(x));
  const wrapper = `#!/bin/sh\nexec "${process.execPath}" "${ROOT}dist/cli/main.js" "$@"\n`;
  writeFileSync(join(folder, "turboquant"), wrapper, { mode: 0o755 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (command: string, args: readonly string[]) => {
  const path = `${folder}${delimiter}${process.env.PATH}`;
  const env = { ...process.env, PATH: path, TURBOQUANT_SERVER_URL: "" };
  return spawnSync(command, args, { cwd: folder, encoding: "utf8", env });
};

describe.each(pages)("%s", (page) => {
  const blocks = blocksOf(readFileSync(join(ROOT, page), "utf8"));
  test("every block is one that runs, data, or says why it is not run", () => {
    for (const { language, line, excuse } of blocks) {
      expect([...PROGRAMS, ...DATA, "sh"], `line ${line}`).toContain(language);
      if (excuse !== undefined) expect(excuse.length, `line ${line}`).toBeGreaterThan(20);
    }
  });

  for (const { language, code, line, excuse } of blocks) {
    if (excuse !== undefined) continue;
    if (PROGRAMS.includes(language))
      test(`line ${line}: the program prints what it says`, () => {
        const { outputText } = ts.transpileModule(code, {
          compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
        });
        const says = promised(code);
        expect(says, "every console.log has a comment behind it").not.toContain(undefined);
        expect(says.length).toBeGreaterThan(0);
        const program = join(folder, `block-${line}.mjs`);
        writeFileSync(program, outputText);
        const ran = run(process.execPath, [program]);
        expect([ran.status, ran.stderr]).toEqual([0, ""]);
        expect(ran.stdout.trimEnd().split("\n")).toEqual(says);
      });
    if (language !== "sh") continue;
    for (const command of code
      .replaceAll(/\\\n\s*/g, "")
      .trim()
      .split("\n")) {
      if (command.startsWith("npm "))
        test(`line ${line}: ${command}: a script that CI runs`, () => {
          const ci = readFileSync(join(ROOT, ".ci/run"), "utf8");
          for (const [, script] of command.split("#")[0]!.matchAll(/npm (?:run )?([\w:]+)/g))
            expect(ci).toMatch(new RegExp(`npm (run )?${script}\\b`));
        });
      else
        test(`line ${line}: ${command}`, () => {
          const ran = run("sh", ["-c", command]);
          expect([ran.status, ran.stderr]).toEqual([0, ""]);
        });
    }
  }
});

test("the harness finds blocks, reads promises, and sees one that is missing", () => {
  const fence = "```";
  const page = `a\n\n<!-- not run: no such machine -->\n\n${fence}sh\nx\n${fence}\n\n${fence}ts\nconsole.log(1); // 1\nconsole.log(2);\n${fence}\n`;
  expect(blocksOf(page).map((b) => [b.language, b.excuse])).toEqual([
    ["sh", "no such machine"],
    ["ts", undefined],
  ]);
  expect(promised(blocksOf(page)[1]!.code)).toEqual(["1", undefined]);
});

test("the two commands stand at the top of the README", () => {
  const top = readFileSync(join(ROOT, "README.md"), "utf8").split("\n").slice(0, 12).join("\n");
  expect(top).toContain("npm ci && npm start");
  expect(top).toContain("npm ci && npm test");
});
