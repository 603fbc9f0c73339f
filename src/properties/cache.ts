/**
 * A paged cache against a model of plain arrays in which a fork is a deep copy. Random commands run on both; after
 * each, everything that is live is read and compared. A wrong read is looked up among all that was ever appended, so
 * that the failure says where the value came from.
 */
import fc from "fast-check";
import { dataStream, normals } from "./inputs.js";
import { type Awaitable, exampleProperty, insist, type Property, Suspicion } from "./property.js";

/** A cache of somebody's; `KvCache` of this package is one. Handles are whatever `create` gives. */
export interface CacheUnderTest<Handle = unknown> {
  /** A new, empty sequence. */
  create(): Awaitable<Handle>;
  /** keys, values: (tokens, kvHeads, headDim). */
  append(seq: Handle, layer: number, keys: Float32Array, values: Float32Array): Awaitable<void>;
  /** A new sequence that holds what seq holds now; what either does afterwards does not touch the other. */
  fork(seq: Handle): Awaitable<Handle>;
  /** Keeps the first length tokens. */
  truncate(seq: Handle, length: number): Awaitable<void>;
  /** Ends the sequence; its pages are free once no fork uses them. */
  free(seq: Handle): Awaitable<void>;
  /** Tokens that every layer has. */
  length(seq: Handle): Awaitable<number>;
  /** What the cache gives back: (length, kvHeads, headDim). */
  read(seq: Handle, layer: number, side: "key" | "value"): Awaitable<Float32Array>;
}

/** The shape of the caches under test, and how to open one. */
export interface CacheOptions<Handle> {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** A fresh, empty cache. */
  open(): Awaitable<CacheUnderTest<Handle>>;
  /** Pages (or bytes) in use: all must be given back when every sequence is freed. */
  used?(cache: CacheUnderTest<Handle>): Awaitable<number>;
  /** A cache's own check of itself; throws when something is wrong. */
  audit?(cache: CacheUnderTest<Handle>): Awaitable<void>;
  /** True for the error that says that no page is left: then nothing may have changed. Default: no error is allowed. */
  full?(error: unknown): boolean;
}

const SUITE = "cache";
const TOKENS = 24;
const SIDES = ["key", "value"] as const;
type SideName = (typeof SIDES)[number];

type Command =
  | { readonly op: "create" }
  | { readonly op: "append"; readonly at: number; readonly tokens: readonly number[] }
  | { readonly op: "fork" | "free"; readonly at: number }
  | { readonly op: "truncate"; readonly at: number; readonly keep: number };

const commands: fc.Arbitrary<readonly Command[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.constant<Command>({ op: "create" }) },
    {
      weight: 6,
      arbitrary: fc.record({
        op: fc.constant("append" as const),
        at: fc.nat(7),
        tokens: fc.array(fc.nat(TOKENS - 1), { minLength: 1, maxLength: 9 }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ op: fc.constant("fork" as const), at: fc.nat(7) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        op: fc.constant("truncate" as const),
        at: fc.nat(7),
        keep: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ op: fc.constant("free" as const), at: fc.nat(7) }) },
  ),
  { minLength: 3, maxLength: 30 },
);

/** Random programs of create, append, fork, truncate and free against a model of deep copies. */
export function cacheSuite<Handle>(options: CacheOptions<Handle>): readonly Property[] {
  let decoded: Promise<Rows> | undefined;
  const rows = (): Promise<Rows> => {
    decoded ??= decodedRows(options);
    return decoded;
  };
  return [
    exampleProperty(
      SUITE,
      "behaves as plain arrays with deep copies do",
      [
        "cow-missing",
        "truncate-shared",
        "fork-shared-length",
        "stale-page",
        "page-table-off-by-one",
        "refcount-leak",
      ],
      commands,
      async (given) => new Run(options, await options.open(), await rows()).all(given),
      200,
    ),
  ];
}

/** What token `id` puts into a layer, and what the cache makes of it: [side][layer][id]. */
interface Rows {
  readonly given: Readonly<Record<SideName, readonly (readonly Float32Array[])[]>>;
  readonly kept: Readonly<Record<SideName, readonly (readonly Float32Array[])[]>>;
}

/** Every token through a fresh cache of its own, alone. */
async function decodedRows<Handle>(options: CacheOptions<Handle>): Promise<Rows> {
  const { layers, kvHeads, headDim } = options;
  const stream = dataStream(5);
  const draw = () =>
    Array.from({ length: layers }, () =>
      Array.from({ length: TOKENS }, () => normals(stream, kvHeads * headDim)),
    );
  const given = { key: draw(), value: draw() };
  const kept: Record<SideName, Float32Array[][]> = {
    key: Array.from({ length: layers }, () => []),
    value: Array.from({ length: layers }, () => []),
  };
  for (let id = 0; id < TOKENS; id++) {
    const cache = await options.open();
    const seq = await cache.create();
    for (let layer = 0; layer < layers; layer++)
      await cache.append(seq, layer, given.key[layer]![id]!.slice(), given.value[layer]![id]!.slice());
    for (const side of SIDES)
      for (let layer = 0; layer < layers; layer++) {
        const row = (await cache.read(seq, layer, side)).slice();
        insist(
          row.length === kvHeads * headDim,
          () => `one token reads back as ${row.length} values, expected ${kvHeads * headDim}`,
        );
        const other = side === "key" ? "value" : "key";
        if (cosine(row, given[side][layer]![id]!) < 0.5) {
          if (cosine(row, given[other][layer]![id]!) > 0.5)
            throw new Suspicion(`the ${side} of a single token reads back as its ${other}`, ["kv-swapped"]);
          if (row.every((v) => v === 0))
            throw new Suspicion(`the ${side} of a single token reads back as zeros`, ["k-zero"]);
          const from = given[side].findIndex((ids) => cosine(row, ids[id]!) > 0.5);
          if (from >= 0)
            throw new Suspicion(`the ${side} of layer ${layer} reads back as that of layer ${from}`, [
              "layer-off-by-one",
            ]);
          throw new Suspicion(`the ${side} of a single token does not come back`, [
            "test-basis",
            "v-not-unrotated",
            "stale-page",
          ]);
        }
        kept[side][layer]!.push(row);
      }
  }
  return { given, kept };
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! * a[i]!;
    bb += b[i]! * b[i]!;
  }
  return aa === 0 ? 0 : ab / Math.sqrt(aa * bb);
}

const MOST_SEQUENCES = 6;

/** One run of commands on a cache and on the model. */
class Run<Handle> {
  readonly #live: { handle: Handle; tokens: number[] }[] = [];
  #acting = -1;

  constructor(
    readonly options: CacheOptions<Handle>,
    readonly cache: CacheUnderTest<Handle>,
    readonly rows: Rows,
  ) {}

  async all(given: readonly Command[]): Promise<void> {
    const before = await this.options.used?.(this.cache);
    for (const command of given) {
      await this.#perform(command);
      await this.options.audit?.(this.cache);
      await this.#compare(command.op);
    }
    for (const { handle } of this.#live.splice(0)) await this.cache.free(handle);
    const after = await this.options.used?.(this.cache);
    if (before !== after)
      throw new Suspicion(`${after} pages are in use when all sequences are freed, ${before} were before`, [
        "refcount-leak",
      ]);
  }

  async #perform(command: Command): Promise<void> {
    const { cache } = this;
    const live = this.#live;
    if (command.op === "create") {
      this.#acting = live.length;
      if (live.length < MOST_SEQUENCES) live.push({ handle: await cache.create(), tokens: [] });
      return;
    }
    if (live.length === 0) return;
    this.#acting = command.at % live.length;
    const acting = live[this.#acting]!;
    if (command.op === "append") await this.#append(acting, command.tokens);
    else if (command.op === "fork") {
      if (live.length < MOST_SEQUENCES)
        live.push({ handle: await cache.fork(acting.handle), tokens: [...acting.tokens] });
    } else if (command.op === "free") {
      await cache.free(acting.handle);
      live.splice(this.#acting, 1);
      this.#acting = -1;
    } else if (command.op === "truncate") {
      acting.tokens.length = Math.round(command.keep * acting.tokens.length);
      await cache.truncate(acting.handle, acting.tokens.length);
    }
  }

  /** A token exists once every layer has it; when pages run out in between, what some layers have is taken back. */
  async #append(to: { handle: Handle; tokens: number[] }, tokens: readonly number[]): Promise<void> {
    const { layers, kvHeads, headDim } = this.options;
    const size = kvHeads * headDim;
    for (let layer = 0; layer < layers; layer++) {
      const pack = (side: SideName): Float32Array => {
        const all = new Float32Array(tokens.length * size);
        tokens.forEach((id, i) => void all.set(this.rows.given[side][layer]![id]!, i * size));
        return all;
      };
      try {
        await this.cache.append(to.handle, layer, pack("key"), pack("value"));
      } catch (error) {
        if (!this.options.full?.(error)) throw error;
        if (layer > 0) await this.cache.truncate(to.handle, to.tokens.length);
        return;
      }
    }
    to.tokens.push(...tokens);
  }

  async #compare(after: Command["op"]): Promise<void> {
    const { layers, kvHeads, headDim } = this.options;
    const size = kvHeads * headDim;
    for (const [at, { handle, tokens }] of this.#live.entries()) {
      const bystander = at !== this.#acting;
      const length = await this.cache.length(handle);
      if (length !== tokens.length)
        throw new Suspicion(
          `after ${after}, ${bystander ? "a sequence that was not touched" : "the sequence"} has ${length} tokens, expected ${tokens.length}`,
          bystander ? ["fork-shared-length", "truncate-shared"] : ["truncate-shared", "fork-shared-length"],
        );
      for (let layer = 0; layer < layers; layer++)
        for (const side of SIDES) {
          const read = await this.cache.read(handle, layer, side);
          insist(
            read.length === tokens.length * size,
            () => `a read gave ${read.length} values for ${tokens.length} tokens`,
          );
          for (const [t, id] of tokens.entries()) {
            const row = read.subarray(t * size, (t + 1) * size);
            if (!same(row, this.rows.kept[side][layer]![id]!))
              throw this.#suspicion(row, after, bystander, layer, side, t, id);
          }
        }
    }
  }

  #suspicion(
    row: Float32Array,
    after: Command["op"],
    bystander: boolean,
    layer: number,
    side: SideName,
    token: number,
    id: number,
  ): Suspicion {
    const where = `after ${after}, ${side} ${token} of layer ${layer} of ${bystander ? "a sequence that was not touched" : "the sequence"}`;
    for (const otherSide of SIDES)
      for (let from = 0; from < this.options.layers; from++) {
        const found = this.rows.kept[otherSide][from]!.findIndex((kept) => same(row, kept));
        if (found < 0) continue;
        if (otherSide !== side)
          return new Suspicion(`${where} is the ${otherSide} of token ${found}`, ["kv-swapped"]);
        if (from !== layer) return new Suspicion(`${where} is that of layer ${from}`, ["layer-off-by-one"]);
        return new Suspicion(`${where} is another token's (${found} for ${id})`, likely(after, bystander));
      }
    if (row.every((v) => v === 0))
      return new Suspicion(`${where} is all zeros`, likely(after, bystander, "k-zero"));
    return new Suspicion(`${where} is no token's`, likely(after, bystander));
  }
}

const same = (a: Float32Array, b: Float32Array): boolean =>
  a.length === b.length && a.every((v, i) => Object.is(v, b[i]));

/** What a wrong row points to, by the command that showed it and whether the sequence was its target. */
function likely(after: Command["op"], bystander: boolean, also?: string): readonly string[] {
  const own = ["page-table-off-by-one", "stale-page", "cow-missing", "truncate-shared", "refcount-leak"];
  const others = {
    append: "cow-missing",
    truncate: "truncate-shared",
    free: "refcount-leak",
    fork: "cow-missing",
    create: "stale-page",
  };
  const first = bystander ? [others[after]] : [];
  return [...new Set([...first, ...own, ...(also ? [also] : [])])];
}
