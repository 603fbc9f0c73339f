/** llama.cpp through a stand-in of its package, and through the package itself where it is installed. */
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { type NativeEngine, nativeEngine, nativePerplexity } from "../../src/model/native-baseline.js";
import { openModel } from "../../src/model/open-model.js";
import { houndText, NOVELS_MODEL } from "./novels.js";

type Item = number | [number, { generateNext: { logits: { filter: { tokens: number[] } } } }];

/** An engine whose logit for a token at a position is token/10 − position, the largest being 5, Σ e^(l − 5) = 4. */
function engine(log: object[], answers: (item: Item, at: number) => unknown): NativeEngine {
  return {
    getLlama: async (options) => {
      log.push(options);
      return {
        loadModel: async ({ modelPath }) => {
          log.push({ modelPath });
          return {
            createContext: async (context) => {
              log.push(context);
              return {
                getSequence: () => ({
                  controlledEvaluate: async (input) => (input as Item[]).map(answers) as never,
                }),
                dispose: async () => void log.push({ disposed: "context" }),
              };
            },
            dispose: async () => {},
          };
        },
        dispose: async () => void log.push({ disposed: "llama" }),
      };
    },
  };
}

const answer = (item: Item, at: number) => {
  if (typeof item === "number") return undefined;
  const [token] = item[1].generateNext.logits.filter.tokens as [number];
  const logits = new Map([
    [999, 5],
    [token, token / 10 - at],
  ]);
  return { next: { logits, totalLogitWeight: 4 } };
};
const plan = { tokens: Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), context: 5, chunks: 2 };

test("perplexity from the engine's logits: second halves of the chunks, the types as it names them", async () => {
  const log: object[] = [];
  const results = await nativePerplexity({
    engine: engine(log, answer),
    model: "m.gguf",
    plan,
    kv: ["f16", "q8_0/q4_0"],
    threads: 2,
  });
  // Scored are positions 2 and 3 of each chunk: tokens 4 and 5, then 9 and 10.
  const losses = [
    [4, 2],
    [5, 3],
    [9, 2],
    [10, 3],
  ].map(([token, at]) => 5 + Math.log(4) - (token! / 10 - at!));
  const ppl = Math.exp(losses.reduce((a, b) => a + b) / 4);
  expect(results.map(({ kv }) => kv)).toEqual(["f16", "q8_0/q4_0"]);
  for (const result of results) {
    expect(result.ppl / ppl).toBeCloseTo(1, 12);
    expect([result.ratio, result.ratioSe]).toEqual([1, 0]);
  }
  expect(log[1]).toEqual({ modelPath: "m.gguf" });
  const contexts = log.filter((entry) => "contextSize" in entry);
  expect(contexts.length).toBe(4);
  expect(contexts[3]).toMatchObject({
    contextSize: 5,
    experimentalKvCacheKeyType: "Q8_0",
    experimentalKvCacheValueType: "Q4_0",
  });
  expect(log.filter((entry) => "disposed" in entry).length).toBe(5);
});

test("a first token of the model's own, and all predictions where asked for", async () => {
  const asked: Item[][] = [];
  const spy = (item: Item, at: number) => {
    if (at === 0) asked.push([]);
    asked.at(-1)!.push(item);
    return answer(item, at);
  };
  const whole = { ...plan, chunks: 1, scoredFrom: 0, bos: 7 };
  await nativePerplexity({ engine: engine([], spy), model: "", plan: whole, kv: ["f16"], threads: 1 });
  expect(asked[0]!.map((item) => (typeof item === "number" ? item : item[0]))).toEqual([7, 2, 3, 4, 5]);
  expect(asked[0]!.map((item) => typeof item)).toEqual(["object", "object", "object", "object", "number"]);
});

test("types that llama.cpp has not, and answers that say too little", async () => {
  const run = (kv: string, answers = answer as (item: Item, at: number) => unknown) =>
    nativePerplexity({ engine: engine([], answers), model: "", plan, kv: [kv], threads: 1 });
  for (const kv of ["turbo4", "f16/", "f16/f16/f16", ""])
    await expect(run(kv), kv).rejects.toMatchObject({ code: "UNKNOWN_FORMAT" });
  await expect(run("f16", () => ({ next: {} }))).rejects.toMatchObject({ code: "BAD_FILE" });
  await expect(run("f16", () => undefined)).rejects.toThrow(/no logit/);
});

function isInstalled(): boolean {
  try {
    return createRequire(import.meta.url).resolve("node-llama-cpp") !== "";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND"; // there, but for import alone
  }
}
test.runIf(isInstalled())("llama.cpp itself: the stand-in model's published figures", async () => {
  const { tokenizer, close } = await openModel(NOVELS_MODEL);
  const tokens = tokenizer.encode(houndText()).slice(0, 512);
  await close();
  const whole = { tokens, context: 512, chunks: 1, scoredFrom: 0 };
  const kv = ["f32", "f16", "q8_0", "q4_0", "f16/q4_0"];
  const results = await nativePerplexity({
    engine: (await nativeEngine())!,
    model: NOVELS_MODEL,
    plan: whole,
    kv,
    threads: 2,
  });
  // node-llama-cpp 3.22.1 on another CPU: kernels sum in another order there.
  for (const [i, ppl] of [28.99036, 28.99036, 28.99152, 29.17332, 29.01849].entries())
    expect(Math.abs(results[i]!.ppl / ppl - 1), results[i]!.kv).toBeLessThan(5e-4);
});
