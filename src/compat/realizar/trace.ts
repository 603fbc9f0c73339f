/**
 * Replays recorded traces of the Rust `PagedKvCache` and compares everything that was recorded after each operation.
 *
 * A trace is a geometry and operations; sequences are numbered by their allocation within the trace. Recorded per
 * operation: the result or the error with its fields; the nine counters; the free pages; for each sequence its table
 * of [page, tokens, references] (null when it is freed), its token count and all keys of its pages; fragmentation;
 * the advice to defragment; bytes used; utilisation. Numbers are compared exactly.
 */
import { RealizarCacheError } from "./error.js";
import { type PageId, SeqId } from "./ids.js";
import { PagedKvCache } from "./paged-cache.js";

/** What the replay found. A case is one operation with all its observables. */
export interface TraceVerdict {
  readonly cases: number;
  readonly mismatches: number;
  /** Where the first mismatch is, and what was recorded and found. */
  readonly first?: string;
}

interface Call {
  readonly op: string;
  readonly seq?: number;
  readonly n?: number;
  readonly pos?: number;
  readonly index?: number;
  readonly value?: number;
}

interface Trace {
  readonly total_pages: number;
  readonly block_size: number;
  readonly num_heads: number;
  readonly head_dim: number;
  readonly ops: readonly (Readonly<Record<string, unknown>> & { readonly call: Call })[];
}

/**
 * @param recording an object with `traces`, or the array of them.
 * @throws TypeError when it has no traces or one has no operations. An unknown operation is a mismatch.
 */
export function judgeRealizarTraces(recording: unknown): TraceVerdict {
  const traces = Array.isArray(recording) ? recording : (recording as { traces?: unknown } | null)?.traces;
  if (!Array.isArray(traces)) throw new TypeError('"recording" expected realizar traces');
  let cases = 0;
  let mismatches = 0;
  let first: string | undefined;
  for (const [t, trace] of (traces as Trace[]).entries()) {
    if (!Array.isArray(trace?.ops) || !trace.ops.every((o) => typeof o?.call?.op === "string"))
      throw new TypeError(`"traces[${t}]" expected operations with a call`);
    const replay = new Replay(trace);
    for (const [o, recorded] of trace.ops.entries()) {
      cases++;
      const difference = replay.step(recorded);
      if (difference === undefined) continue;
      mismatches++;
      first ??= `trace ${t}, operation ${o} (${JSON.stringify(recorded.call)}): ${difference}`;
    }
  }
  return first === undefined ? { cases, mismatches } : { cases, mismatches, first };
}

class Replay {
  readonly #cache: PagedKvCache;
  readonly #blockSize: number;
  /** By number within the trace; freed ones stay. */
  readonly #sequences: SeqId[] = [];
  /** What a number stands for that no sequence has. */
  readonly #unknown = new SeqId();

  constructor(trace: Trace) {
    this.#cache = new PagedKvCache(trace.total_pages, trace.block_size, trace.num_heads, trace.head_dim);
    this.#blockSize = trace.block_size;
  }

  /** Runs the operation; what differs from the record, if anything does. */
  step(recorded: Trace["ops"][number]): string | undefined {
    const found: Record<string, unknown> = { result: this.#call(recorded.call), ...this.#observe() };
    for (const [name, want] of Object.entries(recorded)) {
      if (name === "call" || same(want, found[name])) continue;
      return `${name}: recorded ${JSON.stringify(want)}, found ${JSON.stringify(found[name])}`;
    }
    return undefined;
  }

  #call(call: Call): unknown {
    try {
      return this.#perform(call);
    } catch (error) {
      if (!(error instanceof RealizarCacheError)) throw error;
      // The recording has no ids of sequences in errors: they are global to the process.
      const { code, ...fields } = error.detail;
      const entries = Object.entries(fields).filter(([name]) => name !== "seqId");
      return {
        err: code,
        ...Object.fromEntries(entries.map(([n, v]) => [n === "pageId" ? "page_id" : n, v])),
      };
    }
  }

  #perform(call: Call): unknown {
    const cache = this.#cache;
    const seq = this.#sequences[call.seq ?? -1] ?? this.#unknown;
    const n = call.n ?? 0;
    const pos = call.pos ?? 0;
    switch (call.op) {
      case "allocate":
        return this.#number(cache.allocateSequence(n));
      case "fork":
        return this.#number(cache.forkSequence(seq));
      case "extend":
        cache.extend(seq, n);
        return "ok";
      case "update_tokens":
        cache.updateTokens(seq, n);
        return "ok";
      case "free":
        cache.freeSequence(seq);
        return "ok";
      case "write": {
        const page = cache.getPageMut(seq, pos);
        page.keys[call.index ?? 0] = call.value ?? 0;
        return { page: page.id.value(), ref: page.refCount, tokens: page.numTokens };
      }
      case "slot":
        return cache.slot(seq, pos);
      case "compact":
        return cache.compactSequence(seq);
      case "contiguity":
        return cache.sequenceContiguity(seq);
      case "defragment":
        return cache.defragment();
      default:
        return { unknownOperation: call.op };
    }
  }

  #number(seq: SeqId): { seq: number } {
    return { seq: this.#sequences.push(seq) - 1 };
  }

  #observe(): Record<string, unknown> {
    const cache = this.#cache;
    const tables = this.#sequences.map((seq) => cache.pageTable(seq));
    const frag = cache.fragmentationStats();
    return {
      stats: Object.values(cache.stats().toJSON()),
      free: cache.freePageCount(),
      mem: cache.memoryUsage(),
      util: cache.utilization(),
      frag: Object.values(frag.toJSON()),
      should: cache.shouldDefragment(),
      tokens: this.#sequences.map((seq, i) => (tables[i] ? cache.getSequenceTokens(seq) : null)),
      tables: this.#sequences.map(
        (seq, i) => tables[i]?.map((id, entry) => this.#entry(seq, id, entry)) ?? null,
      ),
      keys: this.#sequences.map((seq, i) =>
        (tables[i] ?? []).flatMap((_, entry) => Array.from(this.#page(seq, entry).keys)),
      ),
    };
  }

  #page(seq: SeqId, entry: number) {
    return this.#cache.getPage(seq, entry * this.#blockSize);
  }

  #entry(seq: SeqId, id: PageId, entry: number): [number, number, number] {
    const page = this.#page(seq, entry);
    return [id.value(), page.numTokens, page.refCount];
  }
}

/** Deep equality; −0 equals 0, as it does in Rust. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}
