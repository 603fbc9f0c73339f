/** Do rotation, sketch and data draw from streams that never coincide? */
import { type Awaitable, insist, type Property, sampleProperty } from "./property.js";

/** The random streams of somebody's, by what they are drawn for. */
export interface StreamsUnderTest {
  /** What each part draws, by its name: `count` values of a seed. */
  readonly parts: Readonly<Record<string, (seed: number, count: number) => Awaitable<ArrayLike<number>>>>;
}

const SUITE = "streams";
/** Values in the same place that two parts may have in common: signs agree half the time by chance. */
const COUNT = 512;

/** No two parts draw the same values from one seed, and each seed draws its own. */
export function streamsSuite({ parts }: StreamsUnderTest): readonly Property[] {
  const names = Object.keys(parts);
  const alike = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
    let same = 0;
    for (let i = 0; i < COUNT; i++) if (Math.sign(a[i]!) === Math.sign(b[i]!)) same++;
    return same / COUNT;
  };
  return [
    sampleProperty(
      SUITE,
      "no two parts draw the same values from one seed",
      ["qjl-seed-shared"],
      8,
      async (seed, runs) => {
        for (let i = 0; i < runs; i++)
          for (const [at, a] of names.entries())
            for (const b of names.slice(at + 1)) {
              const share = alike(await parts[a]!(seed + i, COUNT), await parts[b]!(seed + i, COUNT));
              // 5 standard errors of a fair coin.
              insist(
                Math.abs(share - 0.5) < 2.5 / Math.sqrt(COUNT),
                () =>
                  `${a} and ${b} of seed ${seed + i} agree in sign ${(100 * share).toFixed(0)} % of the time`,
              );
            }
      },
    ),
    sampleProperty(
      SUITE,
      "a seed always gives the same values, another seed others",
      ["qjl-seed-shared"],
      8,
      async (seed) => {
        for (const name of names) {
          const part = parts[name]!;
          const [once, again, other] = [
            await part(seed, COUNT),
            await part(seed, COUNT),
            await part(seed + 1, COUNT),
          ];
          insist(alike(once, again) === 1, () => `${name} gives other values the second time`);
          insist(alike(once, other) < 1, () => `${name} gives the same values for the next seed`);
        }
      },
    ),
  ];
}
