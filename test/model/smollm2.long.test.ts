/**
 * Published models against figures from elsewhere: llama.cpp's token ids and perplexities, and an independent f32
 * forward pass (NumPy) over the dequantised weights. The models are not shipped: TURBOQUANT_MODELS names a folder
 * with smollm2/SmolLM2-135M-Instruct.Q4_1.gguf, smollm2/smollm2-hound-kv.safetensors, stories260k/ and text/.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readSafetensors, tensorToF32 } from "../../src/files/safetensors.js";
import { DenseKv } from "../../src/model/dense-kv.js";
import { evaluatePairs } from "../../src/model/eval-pairs.js";
import { greedy } from "../../src/model/generate.js";
import { openGguf } from "../../src/model/gguf-file.js";
import { type Model, openModel } from "../../src/model/open-model.js";
import { evaluate, summarise } from "../../src/model/perplexity.js";
import { record } from "../../src/model/record.js";
import { Transformer } from "../../src/model/transformer.js";
import { slowBias, withKeyBias } from "./key-bias.js";

const folder = process.env.TURBOQUANT_MODELS;
if (!folder)
  console.warn("TURBOQUANT_MODELS is not set: nothing was checked against SmolLM2 and stories260K.");
const at = (name: string): string => join(folder ?? "", name);
const text = (name: string): string => readFileSync(at(`text/${name}`), "utf8");

describe.runIf(folder)("SmolLM2-135M", () => {
  let model: Model;
  let hound: Int32Array;
  beforeAll(async () => {
    model = await openModel(at("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"), { threads: 2 });
    hound = model.tokenizer.encode(text("hound_of_the_baskervilles.txt"));
  });
  afterAll(() => model.close());
  const dense = () => {
    const { engine, kvShape, blockTokens } = model.transformer;
    return new DenseKv(engine, kvShape, 512, "f32", blockTokens);
  };
  const perplexity = async (tokens: Int32Array, context: number, chunks: number, scoredFrom?: number) => {
    const plan = { tokens, context, chunks, ...(scoredFrom === undefined ? {} : { scoredFrom }) };
    const { baseline } = await evaluate(model.transformer, dense(), [], plan);
    return summarise(baseline, baseline);
  };
  const within = (value: number, expected: number, share: number) =>
    expect(Math.abs(value / expected - 1), `${value} for ${expected}`).toBeLessThan(share);

  test.each([
    [
      "hound_of_the_baskervilles.txt",
      75_370,
      "91ed5dba32f78667674ea88f31cbf7f8eede35cc89329062ae161047ccfc13e1",
    ],
    ["hound_20000.txt", 358, "6416c629d52feb4ff7d7aed9752d6c8d022d1e200b9b3c6cf50273f4faaccd39"],
    [
      "wikitext2.test.tokens.txt",
      312_144,
      "6ecb49cc3609ae7d45af51ecf05d3413f7671c6005fb9b75420854f1834e5ad8",
    ],
  ])("the token ids of %s are llama.cpp's", (name, count, sha256) => {
    const ids = model.tokenizer.encode(text(name));
    expect(ids.length).toBe(count);
    expect(createHash("sha256").update(new Uint8Array(ids.buffer)).digest("hex")).toBe(sha256);
    expect(model.tokenizer.decode(ids)).toBe(text(name));
  });

  test("perplexity of an f32 cache: eight chunks, tokens 20,000..20,511, and the passage", async () => {
    const chunks = await perplexity(hound, 512, 8);
    expect(chunks.scored).toBe(2040);
    within(chunks.ppl, 30.02289, 1e-5);
    within((await perplexity(hound.slice(20_000, 20_512), 512, 1, 0)).ppl, 52.46588, 1e-5);
    const passage = model.tokenizer.encode(text("hound_20000.txt"));
    within((await perplexity(passage, passage.length, 1, 0)).ppl, 44.33747, 1e-5);
  });

  /** An independent f32 pass's table: ratio, its error, mean divergence; the turbo rows with a least-squares scale. */
  test("a large bias of the keys, added to a copy of the model, ruins turbo4; centring by either mean undoes it", async () => {
    const source = await openGguf(at("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"));
    const { headDim } = source.config;
    const biased = await Transformer.load(withKeyBias(source, slowBias(headDim, 4, 40)), { threads: 2 });
    await source.close();
    const plan = { tokens: hound, context: 256, chunks: 1 };
    const kv = ["turbo4", "turbo4+mean", "turbo4+centre"];
    const common = { plan, kv, baseline: "f32", seed: 0, about: [] };
    const [plain, ...centred] = (await evaluatePairs(biased, common)).results;
    await biased.close();
    const [unbiased] = (await evaluatePairs(model.transformer, { ...common, kv: ["turbo4"] })).results;
    expect(plain!.ratio).toBeGreaterThan(4);
    for (const { kv: name, kld, kldSe } of centred) {
      const said = `${name}: ${kld} for ${plain!.kld} biased, ${unbiased!.kld} without the bias`;
      expect(kld, said).toBeLessThan(plain!.kld / 20);
      expect(kld - unbiased!.kld, said).toBeLessThan(3 * Math.hypot(kldSe, unbiased!.kldSe));
    }
  });

  test("protocol A over the packed cache: q8_0 and q4_0 as published, turbo4, 3, 2 at or below", async () => {
    const plan = { tokens: hound, context: 512, chunks: 8 };
    const kv = ["q8_0", "q4_0", "turbo4", "turbo3", "turbo2", "turbo4+mean", "turbo3+mean"];
    const { results, scored } = await evaluatePairs(model.transformer, {
      plan,
      kv,
      baseline: "f16",
      seed: 0,
      about: [],
    });
    expect(scored).toBe(2040);
    const expected = [
      [1.0004, 0.0008, 0.00045],
      [1.132, 0.013, 0.13],
      [1.043, 0.009, 0.0476],
      [1.176, 0.015, 0.191],
      [2.612, 0.034, 0.999],
      [1.039, 0.007, 0.0335],
      [1.144, 0.015, 0.139],
    ] as const;
    for (const [i, result] of results.entries()) {
      const [ratio, se, kld] = expected[i]!;
      const said = JSON.stringify(result);
      // Both runs have an error of their own; divergences of two runs have the same.
      expect(result.ratio - ratio, said).toBeLessThan(3 * Math.hypot(result.ratioSe, se));
      expect(result.kld - kld, said).toBeLessThan(3 * Math.SQRT2 * result.kldSe);
      if (i >= 2) continue;
      expect(ratio - result.ratio, said).toBeLessThan(3 * Math.hypot(result.ratioSe, se));
      expect(kld - result.kld, said).toBeLessThan(3 * Math.SQRT2 * result.kldSe);
    }
    expect(results.map(({ bytesPerToken }) => bytesPerToken)).toEqual(
      [68, 36, 34, 26, 18, 34, 26].map((b) => 180 * b),
    );
  });

  test("greedy text after tokens 1,000..1,063 is the independent pass's", () => {
    const expected =
      "392 1251 1956 288 1510 282 253 725 970 282 2567 1495 1270 198 18 504 725 970 282 2567 1495 314 288 919 260 768 282 260 1770 1952 1270 198 18 504 768 1070 2775 314 288 919 260 768 282 260 1770 1952 1270 198";
    const said = greedy(model.transformer, dense(), hound.slice(1000, 1064), 48);
    expect(said.join(" ")).toBe(expected);
  });

  test("a recording of tokens 1,000..2,023 is the given one, to f16 rounding", async () => {
    const temporary = mkdtempSync(join(tmpdir(), "smollm2-"));
    const path = join(temporary, "kv.safetensors");
    const request = {
      tokens: hound.slice(1000, 2024),
      layers: [1, 13, 26],
      queries: 64,
      model: "",
      text: "",
    };
    await record(model.transformer, request, path);
    const ours = await readSafetensors(path);
    const theirs = await readSafetensors(at("smollm2/smollm2-hound-kv.safetensors"));
    rmSync(temporary, { recursive: true });
    expect([...ours.tensors.keys()]).toEqual([...theirs.tensors.keys()]);
    expect(Object.keys(ours.metadata).sort()).toEqual(Object.keys(theirs.metadata).sort());
    expect(ours.metadata.rope).toBe(theirs.metadata.rope);
    expect(ours.metadata.shape).toBe(theirs.metadata.shape);
    for (const [name, tensor] of ours.tensors) {
      const other = theirs.tensors.get(name)!;
      expect(tensor.shape).toEqual(other.shape);
      const a = tensorToF32(tensor);
      const b = tensorToF32(other);
      // One step of f16 apart at most (a value next to a tie falls either way), and seldom that.
      let apart = 0;
      for (let i = 0; i < a.length; i++) {
        const step = Math.max(2 ** -10 * Math.abs(b[i]!), 2 ** -14);
        if (a[i] === b[i]) continue;
        apart++;
        expect(Math.abs(a[i]! - b[i]!), `${name}[${i}]`).toBeLessThanOrEqual(step);
      }
      expect(apart / a.length, name).toBeLessThan(0.02);
    }
  });

  test("the command takes at most 2.5 times the weights' file, rows being unpacked as they are used", () => {
    const peak = `process.on("exit", () => process.stderr.write("peak " + process.resourceUsage().maxRSS));`;
    const file = at("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    const args = ["--text", at("text/hound_20000.txt"), "--ctx", "256", "--chunks", "1", "--kv", "turbo4"];
    const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
    const { status, stderr } = spawnSync(
      process.execPath,
      [
        "--import",
        `data:text/javascript,${encodeURIComponent(peak)}`,
        main,
        "eval",
        "--model",
        file,
        ...args,
      ],
      { encoding: "utf8" },
    );
    expect(status).toBe(0);
    const bytes = Math.max(
      ...[...stderr.matchAll(/peak (\d+)/g)].map(([, kilobytes]) => 1024 * Number(kilobytes)),
    );
    expect(bytes / statSync(file).size, stderr).toBeLessThan(2.5);
  });

  test("prefill on one core: at least 60 tokens/s, on a free machine", async () => {
    const one = await openModel(at("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"));
    const { engine, kvShape } = one.transformer;
    const kv = new DenseKv(engine, kvShape, 512);
    let best = 0;
    for (let run = 0; run < 3; run++) {
      kv.reset();
      const started = performance.now();
      for (let begin = 0; begin < 512; begin += 128)
        one.transformer.forward(hound.subarray(begin, begin + 128), kv);
      best = Math.max(best, 512_000 / (performance.now() - started));
    }
    expect(engine.bytes).toBeLessThan(2.5 * one.fileBytes);
    await one.close();
    expect(best).toBeGreaterThan(60);
  });
});

describe.runIf(folder)("stories260K", () => {
  test("GGUF and llama2.c give the same bits and the native perplexity", async () => {
    const scores: Float64Array[] = [];
    for (const [file, options] of [
      ["stories260K-f32.gguf", {}],
      ["stories260K.bin", { tokenizer: at("stories260k/tok512.bin") }],
    ] as const) {
      const model = await openModel(at(`stories260k/${file}`), options);
      const tokens = model.tokenizer.encode(text("heldout_story.txt"));
      const kv = new DenseKv(model.transformer.engine, model.transformer.kvShape, tokens.length);
      const plan = { tokens, context: tokens.length, chunks: 1, scoredFrom: 0 };
      const { baseline } = await evaluate(model.transformer, kv, [], plan);
      scores.push(baseline.logProb);
      expect(Math.abs(summarise(baseline, baseline).ppl / 3.25286 - 1)).toBeLessThan(1e-3);
      await model.close();
    }
    expect(scores[0]).toEqual(scores[1]);
  });
});
