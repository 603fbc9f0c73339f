import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, expect, test } from "vitest";
import { register } from "../../src/cli/record.js";
import { readSafetensors, tensorToF32 } from "../../src/files/safetensors.js";
import { openGguf } from "../../src/model/gguf-file.js";
import { openModel } from "../../src/model/open-model.js";
import { record } from "../../src/model/record.js";
import { naiveForward, type Trace } from "./naive-forward.js";
import { HOUND_TEXT, houndText, NOVELS_MODEL } from "./novels.js";

const folder = mkdtempSync(join(tmpdir(), "record-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Half an ulp of f16 (2^-11 relative, 2^-25 below the normals), and the f32 pass's own error. */
const near = (a: number, b: number): boolean =>
  Math.abs(a - b) <= 1.01 * Math.max(2 ** -11 * Math.abs(b), 2 ** -25) + 2e-5;

test("a recording holds what an independent forward pass computes, to f16 rounding", async () => {
  const path = join(folder, "a.safetensors");
  const model = await openModel(NOVELS_MODEL, { blockTokens: 8 });
  const tokens = model.tokenizer.encode(houndText()).slice(0, 20);
  await record(model.transformer, { tokens, layers: [3, 1], queries: 6, model: "m", text: "t" }, path);
  await model.close();
  const source = await openGguf(NOVELS_MODEL);
  const trace: Trace[] = [];
  await naiveForward(source, [...tokens], trace);
  await source.close();

  const { tensors, metadata } = await readSafetensors(path);
  expect(metadata.rope).toContain("theta 10000, positions 0..19");
  expect([...tensors.keys()]).toEqual([
    "tokens",
    ...[1, 3].flatMap((layer) => ["key", "query", "value"].map((what) => `layers.${layer}.${what}`)),
  ]);
  expect([...tensors.get("tokens")!.data]).toEqual([...tokens]);
  for (const layer of [1, 3])
    for (const [what, rows, heads, first] of [
      ["key", trace[layer]!.keys, 2, 0],
      ["value", trace[layer]!.values, 2, 0],
      ["query", trace[layer]!.queries, 4, 14],
    ] as const) {
      const tensor = tensors.get(`layers.${layer}.${what}`)!;
      expect(tensor.shape).toEqual([heads, 20 - first, 64]);
      const got = tensorToF32(tensor);
      const wrong = got.findIndex((value, at) => {
        const token = first + (Math.floor(at / 64) % (20 - first));
        const head = Math.floor(at / 64 / (20 - first));
        return !near(value, rows[token]![head * 64 + (at % 64)]!);
      });
      expect(wrong, `${what} of layer ${layer}`).toBe(-1);
    }
});

test("the command records a part of the text; ranges outside it are refused", async () => {
  const path = join(folder, "b.safetensors");
  const run = (...args: string[]) => {
    const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
    register(program);
    for (const command of program.commands) command.exitOverride().configureOutput({ writeErr: () => {} });
    const fixed = ["record", "--model", NOVELS_MODEL, "--text", HOUND_TEXT, "-o", path];
    return program.parseAsync([...fixed, ...args], { from: "user" });
  };
  await run("--tokens", "100..139", "--layers", "0,2", "--queries", "8");
  const { tensors, metadata } = await readSafetensors(path);
  const model = await openModel(NOVELS_MODEL);
  expect([...tensors.get("tokens")!.data]).toEqual([...model.tokenizer.encode(houndText()).slice(100, 140)]);
  await model.close();
  expect(tensors.get("layers.2.query")!.shape).toEqual([4, 8, 64]);
  expect(metadata.text).toBe("hound_20000.txt, tokens 100..139");
  await expect(run("--tokens", "0..100000")).rejects.toThrow(RangeError);
  await expect(run("--layers", "4", "--tokens", "0..9")).rejects.toThrow(RangeError);
  await expect(run("--tokens", "9..3")).rejects.toMatchObject({ code: "commander.invalidArgument" });
  await expect(run("--layers", "x")).rejects.toMatchObject({ code: "commander.invalidArgument" });
});
