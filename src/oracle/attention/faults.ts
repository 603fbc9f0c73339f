/** What an attention path may do wrong: each entry replaces one stage of the path, a pair of faults two. */

/** How a query or an output is turned. */
export type Turn = "due" | "none" | "against" | "twice";

/** What is read as keys and as values. */
export type Source =
  | "due"
  /** The other side's rows, as they lie. */
  | "other"
  /** The other side's rows, decoded as that side should be. */
  | "other-decoded"
  /** The other side's inputs, encoded in this side's format. */
  | "other-encoded"
  | "zero";

export interface PathFault {
  readonly id: string;
  readonly note: string;
  readonly stage: "query" | "output" | "sides" | "scale" | "heads" | "mask" | "tokens";
  readonly query?: Turn;
  readonly output?: Turn;
  readonly keys?: Source;
  readonly values?: Source;
  /** width: values per head that are stored, padding counted. */
  readonly scale?: (dim: number, scale: number, width: number) => number;
  readonly head?: (h: number, heads: number, kvHeads: number) => number;
  /** Tokens that query t sees: from … to − 1. */
  readonly mask?: (t: number, queries: number, tokens: number) => readonly [number, number];
  /** Of the tokens that are seen, those that are read. */
  readonly tokens?: (range: readonly [number, number], tokens: number) => readonly [number, number];
  /** The value of token i + this meets the weight of token i. */
  readonly valueShift?: number;
}

type Stage<K extends keyof PathFault> = Required<Pick<PathFault, K>>;
const scale = (note: string, f: Stage<"scale">["scale"]): PathFault => ({
  id: "attention-scale",
  note,
  stage: "scale",
  scale: f,
});
const heads = (note: string, f: Stage<"head">["head"]): PathFault => ({
  id: "gqa-mapping",
  note,
  stage: "heads",
  head: f,
});
const sides = (id: string, note: string, more: Partial<PathFault>): PathFault => ({
  id,
  note,
  stage: "sides",
  ...more,
});
const mask = (note: string, f: Stage<"mask">["mask"]): PathFault => ({
  id: "causal-missing",
  note,
  stage: "mask",
  mask: f,
});
const tokens = (note: string, more: Partial<PathFault>): PathFault => ({
  id: "attention-off-by-one",
  note,
  stage: "tokens",
  ...more,
});

/** The likelier of two that do the same comes first. */
export const PATH_FAULTS: readonly PathFault[] = [
  { id: "query-not-rotated", note: "queries used in the original basis", stage: "query", query: "none" },
  { id: "query-not-rotated", note: "queries rotated the wrong way", stage: "query", query: "against" },
  { id: "output-not-unrotated", note: "the output is still rotated", stage: "output", output: "none" },
  {
    id: "output-not-unrotated",
    note: "the output was rotated once more in place of back",
    stage: "output",
    output: "against",
  },
  { id: "rotation-double", note: "queries rotated twice", stage: "query", query: "twice" },
  { id: "rotation-double", note: "the output was rotated back twice", stage: "output", output: "twice" },
  sides("kv-swapped", "keys and values exchanged", { keys: "other", values: "other" }),
  sides("kv-swapped", "keys and values exchanged after decoding", {
    keys: "other-decoded",
    values: "other-decoded",
  }),
  sides("kv-swapped", "keys and values exchanged before they were encoded", {
    keys: "other-encoded",
    values: "other-encoded",
  }),
  sides("kv-swapped", "keys read where values belong", { values: "other" }),
  sides("kv-swapped", "values read where keys belong", { keys: "other" }),
  sides("kv-swapped", "keys encoded where values belong", { values: "other-encoded" }),
  sides("kv-swapped", "values encoded where keys belong", { keys: "other-encoded" }),
  sides("k-zero", "keys read as zeros", { keys: "zero" }),
  scale("no scale", () => 1),
  scale("1/d in place of 1/√d", (d) => 1 / d),
  scale("scale applied twice", (_d, s) => s * s),
  scale("1/√(padded d)", (_d, _s, w) => 1 / Math.sqrt(w)),
  scale("√d in place of 1/√d", (d) => Math.sqrt(d)),
  scale("1/√d in place of the scale asked for", (d) => 1 / Math.sqrt(d)),
  scale("1/√64", () => 1 / 8),
  scale("1/√128", () => 1 / Math.sqrt(128)),
  scale("twice the scale", (_d, s) => 2 * s),
  scale("half the scale", (_d, s) => s / 2),
  scale("√2 times the scale", (_d, s) => s * Math.SQRT2),
  scale("the scale over √2", (_d, s) => s * Math.SQRT1_2),
  scale("base 2 in place of e", (_d, s) => s * Math.LN2),
  scale("log₂ e applied once too often", (_d, s) => s / Math.LN2),
  heads("query head h reads KV head h mod G", (h, _H, g) => h % g),
  heads("every query head reads KV head 0", () => 0),
  heads("KV heads in reversed order", (h, H, g) => g - 1 - Math.floor((h * g) / H)),
  heads("the next KV head", (h, H, g) => (Math.floor((h * g) / H) + 1) % g),
  heads("the KV head before", (h, H, g) => (Math.floor((h * g) / H) + g - 1) % g),
  heads("query head h reads KV head ⌊h/G⌋", (h, _H, g) => Math.floor(h / g) % g),
  heads("query head h reads KV head h, as far as there are any", (h, _H, g) => Math.min(h, g - 1)),
  mask("every query sees every token", (_t, _q, n) => [0, n]),
  mask("causal although it should not be", (t, q, n) => [0, n - q + t + 1]),
  mask("mask counted from token 0", (t, _q, n) => [0, Math.min(n, t + 1)]),
  tokens("the last token is lost", { tokens: ([from, to]) => [from, to - 1] }),
  tokens("the first token is lost", { tokens: ([from, to]) => [from + 1, to] }),
  tokens("each query sees one token too many", { tokens: ([from, to], n) => [from, Math.min(n, to + 1)] }),
  tokens("only the very last token is lost", { tokens: ([from, to], n) => [from, Math.min(n - 1, to)] }),
  tokens("values are read one token late", { valueShift: -1 }),
  tokens("values are read one token early", { valueShift: 1 }),
];
