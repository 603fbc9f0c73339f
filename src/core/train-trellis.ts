/**
 * Training of a trellis table: generalised Lloyd on N(0,1). One iteration searches the paths of the samples and moves
 * every T[w] to the mean of the samples that were coded by w; D = E(z − T[w])² never rises but by what the path search
 * does not see. The minimum is local, so there are many starts: short runs of all, longer ones of the best few, a last
 * one on many samples. Everything follows from the seed; only + − × ÷ and the path search of trellis.ts are used.
 *
 * A start is structured: the 2^L quantiles of N(0,1) are dealt so that the windows that leave a state, and as far as
 * they can those that enter one, spread over the whole range, each leaving state with an offset of its own; what is
 * free is random.
 */
import { inverseNormal } from "./normal.js";
import { type RandomStream, randomStream } from "./random.js";
import { createTrellisScratch, searchTrellis, type Trellis, traceTrellis } from "./trellis.js";

export interface TrellisTraining {
  readonly bits: number;
  readonly window: number;
  readonly seed: number;
  readonly starts: number;
}

/** Coordinates per training vector. */
const DIM = 128;
const FIRST = { vectors: 100, iterations: 20 };
const SECOND = { vectors: 500, iterations: 40, keep: 3 };
const LAST = { vectors: 4000, iterations: 16 };

/** Samples of N(0,1): (vectors, DIM). */
export function trainingSamples(seed: number, label: string, vectors: number): Float32Array {
  const stream = randomStream(seed, label);
  return Float32Array.from({ length: vectors * DIM }, () => stream.normal());
}

export interface TrellisFit {
  /** Mean squared error of the table that came in. */
  readonly distortion: number;
  /** Mean, mean square deviation and number of the samples of each window. */
  readonly means: Float64Array;
  readonly variances: Float64Array;
  readonly counts: Float64Array;
}

/** Codes the samples with a trellis and gathers what each window got. samples: (n, dim). */
export function fitTrellis(trellis: Trellis, samples: Float32Array, dim = DIM): TrellisFit {
  const windows = 1 << trellis.window;
  const sums = new Float64Array(windows);
  const squares = new Float64Array(windows);
  const counts = new Float64Array(windows);
  const scratch = createTrellisScratch(trellis, dim);
  const codes = new Uint8Array(dim);
  const passed = new Float32Array(dim);
  const names = Float32Array.from({ length: windows }, (_, w) => w);
  let error = 0;
  for (let at = 0; at < samples.length; at += dim) {
    const z = samples.subarray(at, at + dim);
    searchTrellis(trellis, z, codes, scratch);
    traceTrellis(trellis, codes, names, passed);
    for (let j = 0; j < dim; j++) {
      const w = passed[j]!;
      const off = z[j]! - trellis.table[w]!;
      error += off * off;
      sums[w]! += off;
      squares[w]! += off * off;
      counts[w]! += 1;
    }
  }
  const means = sums.map((sum, w) => trellis.table[w]! + (counts[w]! > 0 ? sum / counts[w]! : 0));
  const variances = squares.map((sum, w) =>
    counts[w]! > 0 ? sum / counts[w]! - (means[w]! - trellis.table[w]!) ** 2 : 0,
  );
  return { distortion: error / samples.length, means, variances, counts };
}

function structuredStart(bits: number, window: number, stream: RandomStream): Float32Array {
  const fan = 1 << bits;
  const states = 1 << (window - bits);
  const offsets = shuffled(states, stream);
  const table = new Float32Array(1 << window);
  const levels = Array.from(table, (_, i) => inverseNormal((i + 0.5) / table.length));
  const ranks = window >= 2 * bits ? latinRanks(bits, window, stream) : alternatingRanks(fan, states, stream);
  for (let w = 0; w < table.length; w++) table[w] = levels[ranks[w]! * states + offsets[w >> bits]!]!;
  return table;
}

/** The oldest and the newest code of a window choose its rank by a Latin square, one for each middle. */
function latinRanks(bits: number, window: number, stream: RandomStream): number[] {
  const fan = 1 << bits;
  const middles = 1 << (window - 2 * bits);
  const ranks: number[] = [];
  for (let middle = 0; middle < middles; middle++) {
    const [order, oldest, newest] = [0, 1, 2].map(() => shuffled(fan, stream));
    for (let a = 0; a < fan; a++)
      for (let c = 0; c < fan; c++)
        ranks[((a * middles + middle) << bits) | c] = order![oldest![a]! ^ newest![c]!]!;
  }
  return ranks;
}

/** Neighbouring ranks of a state lead to different states. */
function alternatingRanks(fan: number, states: number, stream: RandomStream): number[] {
  const ranks: number[] = [];
  for (let s = 0; s < states; s++) {
    const order = shuffled(states, stream);
    for (let rank = 0; rank < fan; rank++)
      ranks[s * fan + order[rank % states]! + states * Math.floor(rank / states)] = rank;
  }
  return ranks;
}

function shuffled(n: number, stream: RandomStream): number[] {
  const items = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(stream.uniform() * (i + 1));
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return items;
}

function lloyd(trellis: Trellis, samples: Float32Array, iterations: number): Trellis {
  let current = trellis;
  for (let i = 0; i < iterations; i++)
    current = { ...current, table: Float32Array.from(fitTrellis(current, samples).means) };
  return current;
}

/** The best `keep` of the tables, by their error on the samples. */
function best(tables: readonly Trellis[], samples: Float32Array, keep: number): Trellis[] {
  const rated = tables.map((trellis) => ({ trellis, error: fitTrellis(trellis, samples).distortion }));
  return rated
    .sort((a, b) => a.error - b.error)
    .slice(0, keep)
    .map(({ trellis }) => trellis);
}

/** The trained trellis: deterministic in its arguments. */
export function trainTrellis({ bits, window, seed, starts }: TrellisTraining): Trellis {
  const stream = randomStream(seed, "starts");
  const first = trainingSamples(seed, "first", FIRST.vectors);
  const second = trainingSamples(seed, "second", SECOND.vectors);
  const begun = Array.from({ length: starts }, () => {
    const table = structuredStart(bits, window, stream);
    return lloyd({ bits, window, table }, first, FIRST.iterations);
  });
  const longer = best(begun, second, SECOND.keep).map((t) => lloyd(t, second, SECOND.iterations));
  const last = trainingSamples(seed, "last", LAST.vectors);
  return lloyd(best(longer, last, 1)[0]!, last, LAST.iterations);
}
