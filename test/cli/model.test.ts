import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readCenter } from "../../src/model/measure-center.js";
import { parseSensitivity } from "../../src/plan/sensitivity.js";
import { HOUND_TEXT, NOVELS_MODEL } from "../model/novels.js";
import { turboquant } from "./run.js";

const dir = mkdtempSync(join(tmpdir(), "turboquant-model-"));
const shipped = ["--model", NOVELS_MODEL, "--text", HOUND_TEXT];

test("eval: the report's fields, its bytes, the order of losses, and a table of the same", () => {
  const checkpoint = join(dir, "state");
  const args = ["eval", ...shipped, "--ctx", "64", "--chunks", "2", "--kv", "q8_0,turbo2/turbo3,f16"];
  const { status, stdout } = turboquant([...args, "--json", "--checkpoint", checkpoint]);
  expect(status).toBe(0);
  expect(existsSync(checkpoint)).toBe(false); // finished: nothing to go on from
  const report = JSON.parse(stdout.toString());
  expect(report).toMatchObject({
    model: "novels3M-f16.gguf",
    text: "hound_20000.txt",
    ctx: 64,
    chunks: 2,
    scored: 62,
    baseline: "f16",
  });
  const [q8, turbo, f16] = report.results;
  expect(q8).toMatchObject({ kv: "q8_0", bytesPerToken: 4 * 2 * 2 * 68, fixedBytes: 0 });
  expect(turbo).toMatchObject({ kv: "turbo2/turbo3", bytesPerToken: 4 * 2 * (18 + 26) });
  expect(f16).toMatchObject({
    kv: "f16",
    ratio: 1,
    kld: 0,
    kld99: 0,
    kld999: 0,
    sameTop: 1,
    bytesPerToken: 2048,
  });
  expect(turbo.kld).toBeGreaterThan(10 * q8.kld);
  const table = turboquant(args).stdout.toString();
  for (const { ppl } of report.results) expect(table).toContain(`${ppl.toFixed(3)} ±`);
});

test("eval --gates: what was asked, the verdicts, and exit 1 where one fails; prompts side by side", () => {
  const few = ["--ctx", "64", "--chunks", "1", "--long", "290"];
  const { status, stdout } = turboquant([
    "eval",
    ...shipped,
    ...few,
    "--kv",
    "q8_0,turbo2",
    "--gates",
    "--json",
  ]);
  expect(status).toBe(1);
  const [q8, turbo] = JSON.parse(stdout.toString()).results;
  const gates = (of: typeof q8) =>
    of.gates.map((g: { gate: string; verdict: string }) => [g.gate, g.verdict]);
  expect(gates(q8)).toEqual([
    ["perplexity", "PASS"],
    ["attention", "PASS"],
    ["needle", q8.needle.baselineFound === 0 ? "BORDERLINE" : "PASS"],
    ["session", "PASS"],
    ["memory", "PASS"],
  ]);
  expect(turbo.verdict).toBe("FAIL");
  expect(gates(turbo)[1]).toEqual(["attention", "FAIL"]);
  expect(q8.attention.outputCosine).toBeGreaterThan(turbo.attention.outputCosine);
  expect(q8.session.turns.length).toBe(50);
  expect(q8.needle.trials.length).toBe(5);
  expect(turbo.memory).toEqual({ tokens: 64, measured: 64 * 288, calculated: 64 * 288 });

  const asked = ["--measure", "prompts,speed", "--answer", "2", "--long", "120"];
  const said = turboquant(["eval", ...shipped, "--ctx", "16", "--chunks", "1", "--kv", "q8_0", ...asked]);
  expect(said.status).toBe(0);
  expect(said.stdout.toString()).toMatch(/tool_call_format \(\d+ tokens\)/);
  expect(said.stdout.toString()).toMatch(
    /long_context_summary \(118 tokens, \d+ more cut out of the middle\)/,
  );
});

test("eval --native without node-llama-cpp: what to install, before any work", () => {
  const { status, stderr } = turboquant(["eval", ...shipped, "--native", "f16"]);
  if (status === 0) return; // it is installed here
  expect(status).toBe(2);
  expect(stderr.toString()).toBe(
    "error: --native asks llama.cpp through node-llama-cpp, which is not installed: npm install node-llama-cpp\n",
  );
});

test("eval --per-layer writes what profile --sensitivity reads", () => {
  const file = join(dir, "kl.json");
  const kv = ["--kv", "turbo4,turbo2,q8_0/turbo3"];
  const args = ["eval", ...shipped, "--ctx", "48", "--chunks", "2", ...kv, "--per-layer", file];
  expect(turboquant(args).status).toBe(0);
  const layers = parseSensitivity(JSON.parse(readFileSync(file, "utf8")));
  expect(layers.length).toBe(4);
  for (const options of layers) {
    expect(options.map(({ k, v }) => `${k} ${v}`)).toEqual(["turbo4 turbo4", "turbo2 turbo2", "q8_0 turbo3"]);
    expect(options[0]!.kl).toBeLessThan(options[1]!.kl);
    expect(options[2]!.kl).toBeGreaterThan(0);
  }
  const profile = ["profile", "--model", NOVELS_MODEL, "--sensitivity", file, "--budget", "1", "--json"];
  const chosen = turboquant(profile);
  expect(chosen.status).toBe(0);
  // The profile runs, here on another part of the text.
  const chosenFile = join(dir, "profile.json");
  writeFileSync(chosenFile, chosen.stdout);
  const part = [
    "--ctx",
    "48",
    "--chunks",
    "2",
    "--first-chunk",
    "3",
    "--kv",
    "f16",
    "--measure",
    "none",
    "--json",
  ];
  const run = turboquant(["eval", ...shipped, ...part, "--profile", chosenFile]);
  expect(run.status).toBe(0);
  const [, result] = JSON.parse(run.stdout.toString()).results;
  expect(result).toMatchObject({ kv: "profile.json", bytesPerToken: 4 * 2 * 2 * 18 });
  expect(result.kld).toBeGreaterThan(0);
  const wrong = turboquant(["eval", ...shipped, ...part, "--profile", file]);
  expect([wrong.status, turboquant(["eval", ...shipped, "--first-chunk", "99"]).status]).toEqual([1, 2]);
});

test("wrong use is exit 2, bad data exit 1, one line each", () => {
  const bad = join(dir, "bad.gguf");
  writeFileSync(bad, "GGUF");
  for (const [args, expected] of [
    [["eval", ...shipped, "--kv", "turbo9"], 2],
    [["eval", ...shipped, "--ctx", "100000"], 2],
    [["eval", ...shipped, "--ctx", "1"], 2],
    [["eval", ...shipped, "--measure", "speed,luck"], 2],
    [["eval", "--text", HOUND_TEXT], 2],
    [["eval", "--model", bad, "--text", HOUND_TEXT], 1],
    [["eval", "--model", join(dir, "none"), "--text", HOUND_TEXT], 1],
    [["record", ...shipped, "--tokens", "5..2", "-o", join(dir, "x")], 2],
    [["record", ...shipped, "--layers", "9", "--tokens", "0..9", "-o", join(dir, "x")], 2],
    [["record", ...shipped, "--tokens", "0..9", "-o", join(dir, "none", "x")], 1],
  ] as const) {
    const { status, stderr } = turboquant([...args]);
    expect([status, stderr.toString().trim().split("\n").length], args.join(" ")).toEqual([expected, 1]);
  }
  expect(existsSync(join(dir, "x"))).toBe(false);
});

test("centre: means and turns in a file that reads back, and what is wrong is said", async () => {
  const output = join(dir, "novels.centre.safetensors");
  const args = ["centre", ...shipped, "--ctx", "64", "--chunks", "2", "-o", output];
  const { status, stdout } = turboquant(args);
  expect(status).toBe(0);
  expect(stdout.toString()).toMatch(
    /means of 4 layers, 2 KV heads of 64, over 2 chunks of 64 tokens; .* energy/,
  );
  const { means, rope } = await readCenter(output, { layers: 4, kvHeads: 2, headDim: 64 });
  expect(means.some((x) => Math.abs(x) > 0.1)).toBe(true);
  expect(rope).toEqual({ pairing: "adjacent", dimensions: 64, theta: 10_000, scaling: { type: "none" } });
  await expect(readCenter(output, { layers: 4, kvHeads: 1, headDim: 64 })).rejects.toThrow(
    /expected \[4,1,64\]/,
  );
  await expect(readCenter(NOVELS_MODEL, { layers: 4, kvHeads: 2, headDim: 64 })).rejects.toThrow();
  expect(turboquant([...args, "--ctx", "7"]).status).toBe(2);
});
