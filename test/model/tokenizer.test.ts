import { expect, test } from "vitest";
import { GgufMetadata, openGguf } from "../../src/model/gguf-file.js";
import { ggufTokenizer } from "../../src/model/gguf-tokenizer.js";
import { SentencePiece } from "../../src/model/sentence-piece.js";
import { houndText, NOVELS_MODEL } from "./novels.js";

/** GPT-2's byte alphabet: printable bytes are themselves, the others follow from U+0100. */
const alphabet = (() => {
  const printable = (b: number) => (b > 32 && b < 127) || (b > 160 && b !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
})();
const spell = (text: string): string => [...Buffer.from(text)].map((byte) => alphabet[byte]).join("");

/** A byte-level tokenizer with all bytes, and one token for each of `words`, merged left to right. */
function bytePair(pre: string, words: readonly string[]) {
  const tokens = [...alphabet];
  const merges: string[] = [];
  for (const word of words.map(spell)) {
    const letters = [...word];
    for (let end = 2; end <= letters.length; end++) {
      const left = letters.slice(0, end - 1).join("");
      const merge = `${left} ${letters[end - 1]}`;
      if (merges.includes(merge)) continue;
      merges.push(merge);
      tokens.push(left + letters[end - 1]);
    }
  }
  tokens.push("<|im_start|>");
  const tokenizer = ggufTokenizer(
    new GgufMetadata("test", {
      "tokenizer.ggml.model": "gpt2",
      "tokenizer.ggml.pre": pre,
      "tokenizer.ggml.tokens": tokens,
      "tokenizer.ggml.token_type": tokens.map((_, i) => (i === tokens.length - 1 ? 3 : 1)),
      "tokenizer.ggml.merges": merges,
      "tokenizer.ggml.bos_token_id": tokens.length - 1,
      "tokenizer.ggml.add_bos_token": false,
    }),
  );
  const pieces = (text: string) =>
    [...tokenizer.encode(text)].map((id) =>
      Buffer.from([...tokens[id]!].map((c) => alphabet.indexOf(c))).toString(),
    );
  return { tokenizer, tokens, pieces };
}

// Each word could be one token; where the pre-tokenizer cuts, it is not.
const words = ["12345", " hello", "'re", "'RE", "don", "x\n\n", " 7", "!!\n", "a½b", "½"];
test.each([
  ["smollm", "12345", ["1", "2", "3", "4", "5"]],
  ["qwen2", "12345", ["1", "2", "3", "4", "5"]],
  ["llama-bpe", "12345", ["123", "4", "5"]],
  ["smollm", "hello hello", ["h", "e", "l", "l", "o", " hello"]],
  ["smollm", "don're", ["don", "'re"]],
  ["qwen2", "don'RE", ["don", "'RE"]],
  ["llama-bpe", "don'RE", ["don", "'RE"]],
  ["smollm", "x\n\n", ["x", "\n", "\n"]],
  ["smollm", " 7", [" ", "7"]],
  ["smollm", "!!\n", ["!!", "\n"]],
  ["qwen2", "!!\n", ["!!\n"]],
  ["smollm", "a½b", ["a", "½", "b"]],
])("%s cuts %j into %j", (pre, text, expected) => {
  expect(bytePair(pre, words).pieces(text)).toEqual(expected);
});

test("byte-level: what is decoded is what was encoded; control tokens only where asked for", () => {
  const { tokenizer, tokens } = bytePair("smollm", words);
  const text = "Don't  mind\r\n\t12 tabs , “quotes” … 日本 😀 <|im_start|> end ";
  expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  const control = tokens.length - 1;
  expect([...tokenizer.encode(text)]).not.toContain(control);
  expect([...tokenizer.encode(text, { special: true })]).toContain(control);
  expect(tokenizer.decode(tokenizer.encode(text, { special: true }))).toBe(text);
  expect(tokenizer.encode("x", { bos: true })[0]).toBe(control);
});

const given = (tokens: string[], scores: number[]) =>
  new SentencePiece({
    tokens: ["<unk>", "<s>", "</s>", "<0xE2>", "<0x82>", "<0xAC>", ...tokens],
    scores: [0, 0, 0, 0, 0, 0, ...scores],
    kinds: [2, 3, 3, 6, 6, 6, ...tokens.map(() => 1)],
    bos: 1,
    eos: 2,
    addsBos: true,
    addsSpace: false,
  });

test("SentencePiece: the best score first, the leftmost among equals, bytes for the rest", () => {
  const equal = given(["a", "aa", "b", "ab", "ba"], [-9, -1, -9, -1, -2]);
  expect([...equal.encode("aaa")]).toEqual([1, 7, 6]); // leftmost pair
  expect([...equal.encode("aab")]).toEqual([1, 7, 8]); // aa and ab score alike: aa is further left
  expect([...equal.encode("bab")]).toEqual([1, 8, 9]); // ab (−1) before ba (−2)
  expect([...equal.encode("a€", { bos: false })]).toEqual([6, 3, 4, 5]);
  expect(equal.decode([6, 3, 4, 5])).toBe("a€");
  expect([...equal.encode("c", { bos: false })]).toEqual([0]); // no byte token: unknown
  expect([...equal.encode("a</s>a", { special: true })]).toEqual([1, 6, 2, 6]);
});

test("SentencePiece of the shipped model: the text comes back, and long texts take seconds at most", async () => {
  const file = await openGguf(NOVELS_MODEL);
  const tokenizer = ggufTokenizer(file.metadata);
  await file.close();
  const text = houndText();
  const ids = tokenizer.encode(text);
  expect([...ids.slice(0, 8)]).toEqual([1, 299, 265, 299, 292, 1007, 305, 455]);
  expect(tokenizer.decode(ids)).toBe(text);
  const odd = "  two spaces\ttab — ½ 日本 😀\n";
  expect(tokenizer.decode(tokenizer.encode(odd))).toBe(odd);
  const long = text.repeat(200);
  expect(tokenizer.decode(tokenizer.encode(long))).toBe(long);
}, 20_000);

test("tokenizers that are not read here: UNKNOWN_FORMAT", () => {
  const metadata = (values: object) => new GgufMetadata("test", values as Record<string, unknown>);
  const unknown = expect.objectContaining({ code: "UNKNOWN_FORMAT" });
  expect(() => ggufTokenizer(metadata({ "tokenizer.ggml.model": "bert" }))).toThrow(unknown);
  const falcon = { "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "falcon" };
  expect(() => ggufTokenizer(metadata(falcon))).toThrow(unknown);
  const bad = expect.objectContaining({ code: "BAD_FILE" });
  expect(() =>
    ggufTokenizer(metadata({ "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": [1] })),
  ).toThrow(bad);
});
