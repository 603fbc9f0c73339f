/** `verify attention --html` and `verify trace --html`: the verdict as a page, with its fault and the checks. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { turboquant } from "./run.js";

const dir = mkdtempSync(join(tmpdir(), "verify-pages-"));
afterAll(() => rmSync(dir, { recursive: true }));

const page = join(dir, "page.html");
const floats = (name: string, count: number, f: (i: number) => number): string => {
  writeFileSync(join(dir, name), new Uint8Array(Float32Array.from({ length: count }, (_, i) => f(i)).buffer));
  return join(dir, name);
};

it("an attention path", () => {
  const key = floats("k.f32", 8 * 64, (i) => Math.sin(i * i));
  const query = floats("q.f32", 2 * 64, (i) => Math.cos(3 * i));
  const value = floats("v.f32", 8 * 64, (i) => Math.cos(i * i + 1));
  const output = floats("o.f32", 2 * 64, () => 1);
  const ran = turboquant([
    ...["verify", "attention", "--key-format", "f32", "--value-format", "f32", "--dim", "64", "--heads", "1"],
    ...["--kv-heads", "1", "--query", query, "--key", key, "--value", value, "--output", output],
    ...["--html", page],
  ]);
  expect(ran.status).toBe(1);
  const html = readFileSync(page, "utf8");
  for (const text of ["unknown", "attention-error", "rows-conform", "query 0, head 0"])
    expect(html).toContain(text);
});

it("a trace", () => {
  const row = (name: string, by: number): string => basename(floats(name, 64, (i) => by * Math.sin(i + 1)));
  const [k, v, zero] = [row("tk.f32", 1), row("tv.f32", 2), row("tz.f32", 0)];
  const ops = [
    { op: "create", seq: "a" },
    { op: "append", seq: "a", layer: 0, count: 2, keys: k, values: v },
    { op: "read", seq: "a", layer: 0, length: 2, keys: zero, values: v },
  ];
  const shape = { dim: 32, kvHeads: 1, layers: 1, pageSize: 4, keyFormat: "f32", valueFormat: "f32" };
  writeFileSync(join(dir, "trace.json"), JSON.stringify({ ...shape, ops }));
  const ran = turboquant(["verify", "trace", join(dir, "trace.json"), "--html", page]);
  expect(ran.status).toBe(1);
  for (const text of ["k-zero", "reads-conform"]) expect(readFileSync(page, "utf8")).toContain(text);
});
