// Times rival implementations of the same work: several rounds in turn, so that a noisy neighbour hits all of them.
import { Bench } from "tinybench";

const ROUNDS = 5;

/** tasks: { name: () => void }, each doing `units` units → { name: { median, low, high } } in ns per unit. */
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
  const middle = (sorted) => sorted[sorted.length >> 1];
  return Object.fromEntries(
    Object.entries(medians).map(([name, values]) => {
      const sorted = values.sort((a, b) => a - b);
      return [name, { median: middle(sorted), low: sorted[0], high: sorted.at(-1) }];
    }),
  );
}
