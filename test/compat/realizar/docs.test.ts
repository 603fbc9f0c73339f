/** The example of docs/compat-realizar.md prints what its comments say. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import * as realizar from "../../../src/compat/realizar/index.js";

it("docs/compat-realizar.md: the example runs", () => {
  const guide = readFileSync(new URL("../../../docs/compat-realizar.md", import.meta.url), "utf8");
  const code = /```ts\n([\s\S]*?)```/.exec(guide)![1]!;
  const [, names, body] = /^import \{ (.*) \} from "turboquant-kv\/compat\/realizar";\n([\s\S]*)$/.exec(
    code,
  )!;
  const printed: unknown[] = [];
  new Function(`{ ${names} }`, "console", body!)(realizar, { log: (value: unknown) => printed.push(value) });
  const promised = [...body!.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map((match) => Number(match[1]));
  expect(promised).toHaveLength(2);
  expect(printed).toEqual(promised);
});
