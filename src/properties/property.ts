/**
 * What a suite is made of: properties, each a promise about somebody's implementation with the faults that break it
 * (ids of the oracle's catalogue). A failure says which property, on what, which faults to look for, and how to run
 * it again with the same values.
 */
import fc from "fast-check";

/** An implementation may answer at once or later (a process, a GPU). */
export type Awaitable<T> = T | Promise<T>;

/** How often a property is tried, or which run of it to repeat. */
export interface RunOptions {
  /** Replays a run; by default every run takes another one. */
  readonly seed?: number;
  /** Goes straight to a counterexample, as a failure's `replay` says. */
  readonly path?: string;
  /** How many examples of a property, or how many samples of a statistic. Default: the property's own. */
  readonly runs?: number;
}

/** Something that holds for every correct implementation, and the faults to think of when it does not. */
export interface Property {
  readonly suite: string;
  readonly name: string;
  /** Ids of the faults that a failure suggests, likeliest first. */
  readonly faults: readonly string[];
  /** @throws PropertyFailure when the property does not hold. */
  run(options?: RunOptions): Promise<void>;
}

/** A property that does not hold. */
export class PropertyFailure extends Error {
  override readonly name = "PropertyFailure";

  constructor(
    readonly property: string,
    /** What was seen. */
    readonly reason: string,
    /** Ids of the faults to look for, likeliest first. */
    readonly faults: readonly string[],
    /** Options that run the same values again. */
    readonly replay: RunOptions,
    /** The values, shrunk, in words. */
    readonly counterexample?: string,
  ) {
    const { seed, path } = replay;
    super(
      [
        `${property}: ${reason}`,
        counterexample === undefined ? "" : `  on ${counterexample}`,
        faults.length > 0 ? `  suggests: ${faults.join(", ")}` : "",
        `  replay: { seed: ${seed}${path === undefined ? "" : `, path: "${path}"`} }`,
      ]
        .filter((line) => line !== "")
        .join("\n"),
    );
  }
}

/** Thrown by a check that knows better than its property which faults it points to. */
export class Suspicion extends Error {
  constructor(
    message: string,
    readonly faults: readonly string[],
  ) {
    super(message);
  }
}

/** @throws Error with the reason unless it holds. */
export function insist(condition: boolean, reason: () => string): asserts condition {
  if (!condition) throw new Error(reason());
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const suspects = (error: unknown, usual: readonly string[]): readonly string[] =>
  error instanceof Suspicion ? error.faults : usual;

/** A property of single examples: `check` throws for one that breaks it; fast-check shrinks it. */
export function exampleProperty<T>(
  suite: string,
  name: string,
  faults: readonly string[],
  examples: fc.Arbitrary<T>,
  check: (example: T) => Awaitable<void>,
  usualRuns = 50,
): Property {
  const run = async ({ seed, path, runs = usualRuns }: RunOptions = {}): Promise<void> => {
    const details = await fc.check(
      fc.asyncProperty(examples, async (example) => check(example)),
      {
        numRuns: runs,
        ...(seed === undefined ? {} : { seed }),
        ...(path === undefined ? {} : { path }),
      },
    );
    if (!details.failed) return;
    const error = details.errorInstance;
    throw new PropertyFailure(
      `${suite}: ${name}`,
      reasonOf(error),
      suspects(error, faults),
      { seed: details.seed, ...(details.counterexamplePath ? { path: details.counterexamplePath } : {}) },
      fc.stringify(details.counterexample?.[0]),
    );
  };
  return { suite, name, faults, run };
}

/** A property of a whole sample: `check` draws `runs` values from a seed and throws when the statistic is off. */
export function sampleProperty(
  suite: string,
  name: string,
  faults: readonly string[],
  usualRuns: number,
  check: (seed: number, runs: number) => Awaitable<void>,
): Property {
  const run = async (options: RunOptions = {}): Promise<void> => {
    const seed = options.seed ?? Math.floor(Math.random() * 2 ** 31);
    try {
      await check(seed, options.runs ?? usualRuns);
    } catch (error) {
      throw new PropertyFailure(`${suite}: ${name}`, reasonOf(error), suspects(error, faults), { seed });
    }
  };
  return { suite, name, faults, run };
}

/** Runs all properties one after the other: the failures, an empty list where all hold. */
export async function failuresOf(
  properties: readonly Property[],
  options: RunOptions = {},
): Promise<readonly PropertyFailure[]> {
  const failures: PropertyFailure[] = [];
  for (const property of properties) {
    try {
      await property.run(options);
    } catch (error) {
      if (!(error instanceof PropertyFailure)) throw error;
      failures.push(error);
    }
  }
  return failures;
}

/** Runs all properties. @throws AggregateError of PropertyFailure, its message all of theirs. */
export async function assertProperties(
  properties: readonly Property[],
  options: RunOptions = {},
): Promise<void> {
  const failures = await failuresOf(properties, options);
  if (failures.length === 0) return;
  throw new AggregateError(
    failures,
    `${failures.length} of ${properties.length} properties do not hold\n${failures.map((f) => f.message).join("\n")}`,
  );
}
