/**
 * SentencePiece BPE by scores, as llama.cpp's SPM tokenizer: spaces become "▁", one is put in front; the text falls
 * into characters, and of all neighbours whose union is a token those with the highest score are merged, the
 * leftmost first among equals, until none is left. What is no token then is spelt in bytes, <0x00> … <0xFF>.
 */
import { readFile } from "node:fs/promises";
import { FormatError } from "../core/format-error.js";
import type { GgufMetadata } from "./gguf-file.js";
import type { EncodeOptions, Tokenizer } from "./tokenizer.js";

/** ggml's kinds of tokens. */
const UNKNOWN = 2;
const CONTROL = 3;
const BYTE = 6;

const SPACE = "\u2581";

export interface SentencePieceVocabulary {
  readonly tokens: readonly string[];
  readonly scores: readonly number[];
  /** ggml's kind of each token. */
  readonly kinds: readonly number[];
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  readonly addsBos: boolean;
  readonly addsSpace: boolean;
}

/** Candidates for a merge; the best (score, then leftmost) is on top. */
class MergeQueue {
  readonly #heap: { score: number; left: number; right: number; length: number }[] = [];

  #before(a: number, b: number): boolean {
    const x = this.#heap[a]!;
    const y = this.#heap[b]!;
    return x.score > y.score || (x.score === y.score && x.left < y.left);
  }

  #swap(a: number, b: number): void {
    const kept = this.#heap[a]!;
    this.#heap[a] = this.#heap[b]!;
    this.#heap[b] = kept;
  }

  push(merge: { score: number; left: number; right: number; length: number }): void {
    let at = this.#heap.push(merge) - 1;
    while (at > 0 && this.#before(at, (at - 1) >> 1)) {
      this.#swap(at, (at - 1) >> 1);
      at = (at - 1) >> 1;
    }
  }

  pop(): { score: number; left: number; right: number; length: number } | undefined {
    const top = this.#heap[0];
    const last = this.#heap.pop();
    if (!top || !last || this.#heap.length === 0) return top;
    this.#heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      if (left >= this.#heap.length) return top;
      const child = left + 1 < this.#heap.length && this.#before(left + 1, left) ? left + 1 : left;
      if (!this.#before(child, at)) return top;
      this.#swap(child, at);
      at = child;
    }
  }
}

export class SentencePiece implements Tokenizer {
  readonly vocabulary: number;
  readonly addsBos: boolean;
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  readonly #given: SentencePieceVocabulary;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #bytes: readonly (number | undefined)[];
  readonly #unknown: number;
  readonly #control: readonly [string, number][];

  constructor(given: SentencePieceVocabulary) {
    this.vocabulary = given.tokens.length;
    this.addsBos = given.addsBos;
    this.bos = given.bos;
    this.eos = given.eos;
    this.#given = given;
    this.#ids = new Map(given.tokens.map((token, id) => [token, id]));
    this.#bytes = Array.from({ length: 256 }, (_, byte) =>
      this.#ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
    );
    this.#unknown = Math.max(given.kinds.indexOf(UNKNOWN), 0);
    this.#control = given.tokens.flatMap((token, id): [string, number][] =>
      given.kinds[id] === CONTROL ? [[token, id]] : [],
    );
  }

  static fromGguf(metadata: GgufMetadata): SentencePiece {
    const id = (key: string) => (metadata.has(key) ? metadata.number(key) : undefined);
    return new SentencePiece({
      tokens: metadata.texts("tokenizer.ggml.tokens"),
      scores: metadata.numbers("tokenizer.ggml.scores"),
      kinds: metadata.numbers("tokenizer.ggml.token_type"),
      bos: id("tokenizer.ggml.bos_token_id"),
      eos: id("tokenizer.ggml.eos_token_id"),
      addsBos: metadata.flag("tokenizer.ggml.add_bos_token", true),
      addsSpace: metadata.flag("tokenizer.ggml.add_space_prefix", true),
    });
  }

  /**
   * llama2.c's tokenizer.bin: i32 longest token, then `vocabulary` times f32 score, i32 length, UTF-8 bytes. Tokens
   * have plain spaces there; 0, 1, 2 are unknown, beginning, end, and 3 … 258 the bytes.
   * @throws FormatError BAD_FILE
   */
  static async fromLlama2c(path: string, vocabulary: number): Promise<SentencePiece> {
    const file = await readFile(path);
    const tokens: string[] = [];
    const scores: number[] = [];
    let at = 4;
    for (let id = 0; id < vocabulary; id++) {
      const length = at + 8 <= file.length ? file.readInt32LE(at + 4) : -1;
      if (length < 0 || at + 8 + length > file.length)
        throw new FormatError("BAD_FILE", `${path}: token ${id} of ${vocabulary} does not fit the file`);
      scores.push(file.readFloatLE(at));
      tokens.push(file.toString("utf8", at + 8, at + 8 + length).replaceAll(" ", SPACE));
      at += 8 + length;
    }
    if (at !== file.length)
      throw new FormatError("BAD_FILE", `${path}: ${vocabulary} tokens end at ${at} of ${file.length} bytes`);
    return new SentencePiece({
      tokens,
      scores,
      kinds: tokens.map((_, id) => (id === 0 ? UNKNOWN : id < 3 ? CONTROL : id < 259 ? BYTE : 1)),
      bos: 1,
      eos: 2,
      addsBos: true,
      addsSpace: true,
    });
  }

  #spell(piece: string, out: number[]): void {
    for (const byte of new TextEncoder().encode(piece)) out.push(this.#bytes[byte] ?? this.#unknown);
  }

  /** Merges one stretch of text without control tokens. */
  #pieces(text: string, out: number[]): void {
    const pieces: string[] = Array.from(text.replaceAll(" ", SPACE));
    const next = Int32Array.from(pieces, (_, i) => i + 1);
    const previous = Int32Array.from(pieces, (_, i) => i - 1);
    const queue = new MergeQueue();
    const offer = (left: number, right: number) => {
      if (left < 0 || right >= pieces.length) return;
      const union = pieces[left]! + pieces[right]!;
      const id = this.#ids.get(union);
      if (id !== undefined) queue.push({ score: this.#given.scores[id]!, left, right, length: union.length });
    };
    for (let i = 0; i + 1 < pieces.length; i++) offer(i, i + 1);
    for (let merge = queue.pop(); merge; merge = queue.pop()) {
      const { left, right, length } = merge;
      const a = pieces[left]!;
      const b = pieces[right]!;
      // Passed over: one of the two has been merged since (a merged right-hand piece is empty).
      if (a === "" || b === "" || a.length + b.length !== length) continue;
      pieces[left] = a + b;
      pieces[right] = "";
      next[left] = next[right]!;
      if (next[left]! < pieces.length) previous[next[left]!] = left;
      offer(previous[left]!, left);
      offer(left, next[left]!);
    }
    for (let i = 0; i < pieces.length; i = next[i]!) {
      const id = this.#ids.get(pieces[i]!);
      if (id !== undefined) out.push(id);
      else this.#spell(pieces[i]!, out);
    }
  }

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    const out: number[] = [];
    if ((options.bos ?? this.addsBos) && this.bos !== undefined) out.push(this.bos);
    let space = this.#given.addsSpace;
    const stretch = (part: string) => {
      if (part !== "") this.#pieces(space ? ` ${part}` : part, out);
    };
    let rest = text;
    while (options.special) {
      const found = this.#control
        .map(([token, id]) => ({ token, id, at: rest.indexOf(token) }))
        .filter(({ at }) => at >= 0)
        .sort((a, b) => a.at - b.at || b.token.length - a.token.length)[0];
      if (!found) break;
      stretch(rest.slice(0, found.at));
      out.push(found.id);
      space = this.#given.addsSpace;
      rest = rest.slice(found.at + found.token.length);
    }
    stretch(rest);
    return Int32Array.from(out);
  }

  decode(ids: ArrayLike<number>): string {
    const bytes: number[] = [];
    const encoder = new TextEncoder();
    for (const id of Array.from(ids)) {
      const token = this.#given.tokens[id] ?? "";
      const kind = this.#given.kinds[id];
      if (kind === BYTE) bytes.push(Number.parseInt(token.slice(1, -1), 16));
      else if (kind !== CONTROL && kind !== UNKNOWN)
        bytes.push(...encoder.encode(token.replaceAll(SPACE, " ")));
    }
    const text = new TextDecoder().decode(Uint8Array.from(bytes));
    return this.#given.addsSpace && text.startsWith(" ") ? text.slice(1) : text;
  }
}
