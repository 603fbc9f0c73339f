/** What a newcomer types: a wrong word is one line that says where to look, every command shows examples, selftest needs no path. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { turboquant } from "./run.js";

const NATIVE = fileURLToPath(new URL("../../fixtures/native/", import.meta.url));
const errorOf = (args: readonly string[]): [number | null, string] => {
  const { status, stderr } = turboquant(args);
  return [status, stderr.toString()];
};

test("wrong usage: exit 2, one line, a guess, and where the help is", () => {
  expect(errorOf(["verfy"])).toEqual([
    2,
    "error: unknown command 'verfy' (Did you mean verify?) (see turboquant --help)\n",
  ]);
  expect(errorOf(["formats", "--jsn"])[1]).toContain(
    "(Did you mean --json?) (see turboquant formats --help)",
  );
  expect(errorOf(["verify"])[1]).toMatch(
    /^error: "verify" expected [^\n]+ \(see turboquant verify --help\)\n$/,
  );
  expect(errorOf(["verify", "trace"])[1]).toContain("(see turboquant verify trace --help)");
});

test("every command's help has an example", () => {
  const names = turboquant(["--help"])
    .stdout.toString()
    .matchAll(/^ {2}([a-z-]+)(?:\|[a-z]+)? /gm);
  const commands = [...names].map(([, name]) => name!).filter((name) => name !== "help");
  expect(commands.length).toBeGreaterThan(15);
  const bare = commands.filter((name) => {
    const help = turboquant([name, "--help"]).stdout.toString();
    const subcommands = /^Commands:/m.test(help);
    return !help.includes(`$ turboquant ${name}`) && !subcommands;
  });
  expect(bare).toEqual([]);
});

test("selftest: the shipped vectors, or a folder's", () => {
  const dir = mkdtempSync(join(tmpdir(), "turboquant-selftest-"));
  try {
    expect(errorOf(["selftest", dir])).toEqual([1, expect.stringContaining("expected .json or .msgpack")]);
    cpSync(join(NATIVE, "f16.msgpack"), join(dir, "f16.msgpack"));
    const ran = turboquant(["selftest", dir, "--json"]);
    expect([ran.status, JSON.parse(ran.stdout.toString()).length]).toEqual([0, 1]);
    expect(turboquant(["selftest"]).stdout.toString()).toMatch(/^600 cases, 0 mismatches$/m);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
