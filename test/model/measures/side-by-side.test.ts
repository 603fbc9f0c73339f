import { afterAll, beforeAll, expect, test } from "vitest";
import { type Chat, ggufChat, plainChat } from "../../../src/model/chat.js";
import { DenseKv } from "../../../src/model/dense-kv.js";
import { greedy } from "../../../src/model/generate.js";
import { GgufMetadata } from "../../../src/model/gguf-file.js";
import { kvPair } from "../../../src/model/kv-pair.js";
import {
  commonPrefix,
  cutMiddle,
  type SideBySide,
  sideBySide,
} from "../../../src/model/measures/side-by-side.js";
import { openKv } from "../../../src/model/open-kv.js";
import { type Model, openModel } from "../../../src/model/open-model.js";
import type { Tokenizer } from "../../../src/model/tokenizer.js";
import { NOVELS_MODEL } from "../novels.js";

let model: Model;
let chat: Chat;
beforeAll(async () => {
  model = await openModel(NOVELS_MODEL);
  chat = plainChat(model.tokenizer);
});
afterAll(() => model.close());
const CONTEXT = 160;
const dense = (capacity = CONTEXT) =>
  new DenseKv(model.transformer.engine, model.transformer.kvShape, capacity);

test("the file's template writes the conversation; control tokens in it are read as such", () => {
  const encoded: [string, object][] = [];
  const tokenizer = {
    bos: 1,
    eos: 2,
    decode: ([id]: number[]) => (id === 1 ? "<s>" : "</s>"),
    encode(text: string, options: object) {
      encoded.push([text, options]);
      return new Int32Array(3);
    },
  } as unknown as Tokenizer;
  const metadata = (template: string) => new GgufMetadata("m.gguf", { "tokenizer.chat_template": template });
  const template =
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
  const { encode, templated } = ggufChat(metadata(template), tokenizer);
  encode([
    { role: "user", content: "Who?" },
    { role: "assistant", content: "I." },
  ]);
  expect(templated).toBe(true);
  expect(encoded).toEqual([["<s>[user]Who?</s>[assistant]I.</s>[assistant]", { bos: false, special: true }]]);
  expect(() => ggufChat(metadata("{% for %}"), tokenizer)).toThrow(
    expect.objectContaining({ code: "BAD_FILE" }),
  );
  const failing = ggufChat(metadata("{{ raise_exception('no') }}"), tokenizer);
  expect(() => failing.encode([])).toThrow(expect.objectContaining({ code: "BAD_FILE" }));
  expect(ggufChat(new GgufMetadata("m.gguf", {}), tokenizer).templated).toBe(false);
});

test("a long prompt loses its middle; common prefixes", () => {
  expect([...cutMiddle(Int32Array.of(1, 2, 3, 4, 5, 6, 7), 5)]).toEqual([1, 2, 5, 6, 7]);
  expect([...cutMiddle(Int32Array.of(1, 2, 3), 3)]).toEqual([1, 2, 3]);
  expect(commonPrefix([1, 2, 3], [1, 2, 4])).toBe(2);
  expect(commonPrefix([1, 2], [1, 2, 3])).toBe(2);
});

test("answers are the greedy ones; the same cache says the same, a coarse one something else", () => {
  const { engine, kvShape, blockTokens } = model.transformer;
  const coarse = openKv(kvShape, kvPair("turbo1"), { capacity: CONTEXT, seed: 0, engine, blockTokens });
  const turns = ["It was a dark night upon the moor", "and what did Holmes say?"];
  const prompts = [
    { category: "one", turns: turns.slice(0, 1), pattern: /./ },
    { category: "two", turns, pattern: /nothing like this/ },
    { category: "long", turns: [turns[0]!.repeat(20)], pattern: /./ },
  ];
  const limits = { context: 100, answerTokens: 12 };
  const results = sideBySide(model.transformer, chat, dense(), [dense(), coarse], prompts, limits);
  const [same, other] = results;
  for (const { baseline, answer, same: equal, of } of same!) {
    expect(answer).toEqual(baseline);
    expect(equal).toBe(of);
    expect(of).toBe(12);
  }
  expect(other!.some(({ same: equal }) => equal < 12)).toBe(true);
  expect(same!.map(({ baseline }) => baseline.asAsked)).toEqual([true, false, true]);
  expect(same!.map(({ promptTokens, cut }) => [promptTokens <= 88, cut > 0])).toEqual([
    [true, false],
    [true, false],
    [true, true],
  ]);
  // The second turn's answer, made at one go from the whole conversation.
  const first = same![0]!.baseline.text;
  const whole = chat.encode([
    { role: "user", content: turns[0]! },
    { role: "assistant", content: first },
    { role: "user", content: turns[1]! },
  ]);
  const text = model.tokenizer.decode(greedy(model.transformer, dense(), whole, 12));
  expect(same![1]!.baseline.text).toBe(text);
  coarse.dispose();
});

test("a conversation whose middle is cut forgets what the cache held of it", () => {
  const turns = ["It was a dark night upon the moor. ".repeat(3), "What did Holmes say to Watson?"];
  const limits = { context: 60, answerTokens: 8 };
  const prompts = [{ category: "cut", turns, pattern: /./ }];
  const [[result]] = sideBySide(model.transformer, chat, dense(60), [dense(60)], prompts, limits) as [
    [SideBySide],
  ];
  expect(result.cut).toBeGreaterThan(0);
  const ask = (tokens: Int32Array) =>
    model.tokenizer.decode(greedy(model.transformer, dense(), cutMiddle(tokens, 52), 8));
  const first = ask(chat.encode([{ role: "user", content: turns[0]! }]));
  const whole = chat.encode([
    { role: "user", content: turns[0]! },
    { role: "assistant", content: first },
    { role: "user", content: turns[1]! },
  ]);
  expect(result.baseline.text).toBe(ask(whole));
  expect(result.answer.text).toBe(result.baseline.text);
});
