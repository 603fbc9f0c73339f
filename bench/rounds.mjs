// Times rival implementations of the same work: several rounds in turn, so that a noisy neighbour hits all of them.
import { Bench } from "tinybench";

const ROUNDS = 5;

/**
 * tasks: { name: () => void }, each doing `units` units → { name: { median, low, high, rounds } } in ns per unit: the
 * medians of the rounds, in their order.
 */
export async function time(tasks, units, { rounds = ROUNDS, milliseconds = 60 } = {}) {
  const medians = Object.fromEntries(Object.keys(tasks).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const bench = new Bench({ time: milliseconds, warmupTime: round === 0 ? milliseconds : 5 });
    for (const [name, task] of Object.entries(tasks)) bench.add(name, task);
    await bench.run();
    for (const { name, result } of bench.tasks) {
      if (result.state === "errored") throw result.error;
      medians[name].push((result.latency.p50 * 1e6) / units);
    }
  }
  return Object.fromEntries(
    Object.entries(medians).map(([name, values]) => [name, { ...spread(values), rounds: values }]),
  );
}

/** How many times faster `of` is than `base`: round by round, so that what slows a round down slows down both. */
export const ratio = (base, of) => spread(base.rounds.map((ns, round) => ns / of.rounds[round]));

function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], low: sorted[0], high: sorted.at(-1) };
}
