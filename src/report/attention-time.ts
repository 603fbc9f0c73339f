/**
 * Time of attention over a cache of each K/V pair as it grows: one query token, all heads of one layer, WASM SIMD.
 * Caches are filled with the recording, over and over; rounds are interleaved and the least of them counts.
 */
import { KvCache } from "../cache/index.js";
import type { Configuration } from "./configuration.js";
import type { Recording } from "./recording.js";

export interface AttentionTime {
  /** Keys and values as formats: "turbo4/turbo2". */
  readonly name: string;
  readonly tokens: number;
  readonly microseconds: number;
}

export const ATTENTION_TOKENS: readonly number[] = [256, 1024, 4096, 16384];
interface Pair {
  readonly key: string;
  readonly value: string;
}

const ROUNDS = 5;
const PAGE = 64;

/** Pairs in, each once (a mean key does not change attention's work): lengths × pairs out. */
export function measureAttention(
  recording: Recording,
  configurations: readonly Configuration[],
  lengths: readonly number[] = ATTENTION_TOKENS,
  progress: (done: number, total: number, what: string) => void = () => {},
): AttentionTime[] {
  const { dim, heads, queries } = recording;
  const pairs = new Map(configurations.map(({ key, value }) => [pairName(key, value), { key, value }]));
  const query = new Float32Array(heads * dim);
  const { query: recorded } = recording.layers[0]!;
  for (let h = 0; h < heads; h++)
    query.set(recorded.subarray(((h + 1) * queries - 1) * dim, (h + 1) * queries * dim), h * dim);
  const out = new Float32Array(heads * dim);
  return lengths.flatMap((tokens, step) => {
    const works = [...pairs].map(([name, pair]) => {
      return { name, ...filled(recording, pair, tokens), least: Number.POSITIVE_INFINITY };
    });
    for (let round = 0; round < ROUNDS; round++)
      for (const work of works) {
        const start = performance.now();
        work.cache.attend(work.seq, 0, query, out);
        work.least = Math.min(work.least, performance.now() - start);
      }
    for (const { cache } of works) cache.dispose();
    progress(step + 1, lengths.length, `attention over ${tokens} tokens`);
    return works.map(({ name, least }) => ({ name, tokens, microseconds: 1000 * least }));
  });
}

export const pairName = (key: string, value: string): string => (key === value ? key : `${key}/${value}`);

/** A cache of one layer that holds `tokens` recorded tokens. */
function filled({ dim, heads, kvHeads, tokens: recorded, layers }: Recording, pair: Pair, tokens: number) {
  const pages = Math.ceil(tokens / PAGE);
  const shape = { layers: 1, kvHeads, heads, headDim: dim, pageTokens: PAGE, pages };
  const cache = new KvCache({ ...shape, key: pair.key, value: pair.value, backend: "wasm" });
  const seq = cache.create();
  for (let at = 0; at < tokens; at += recorded) {
    const layer = layers[(at / recorded) % layers.length]!;
    const n = Math.min(recorded, tokens - at);
    const take = (x: Float32Array): Float32Array => {
      const rows = new Float32Array(n * kvHeads * dim);
      for (let t = 0; t < n; t++)
        for (let g = 0; g < kvHeads; g++)
          rows.set(
            x.subarray((g * recorded + t) * dim, (g * recorded + t + 1) * dim),
            (t * kvHeads + g) * dim,
          );
      return rows;
    };
    cache.append(seq, 0, take(layer.key), take(layer.value));
  }
  return { cache, seq };
}
