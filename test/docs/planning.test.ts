/** docs/planning.md: its commands run and its example prints what its comments say. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as plan from "../../src/plan/index.js";
import { turboquant } from "../cli/run.js";

const guide = readFileSync(new URL("../../docs/planning.md", import.meta.url), "utf8");
const block = (language: string): string =>
  new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(guide)![1]!;

const commands = block("sh").trim().split("\n");
test.each(commands)("%s", (line) => {
  const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2]!);
  expect(words[0]).toBe("turboquant");
  const { status, stderr } = turboquant(words.slice(1));
  expect([status, stderr]).toEqual([0, ""]);
});

test("the example", () => {
  const [, names, body] = /^import \{ (.*) \} from "turboquant-kv\/plan";\n([\s\S]*)$/.exec(block("ts"))!;
  const printed: unknown[] = [];
  new Function(`{ ${names} }`, "console", body!)(plan, { log: (value: unknown) => printed.push(value) });
  const promised = [...body!.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map((match) => match[1]);
  expect(promised).toHaveLength(4);
  expect(printed.map(String)).toEqual(promised);
});
