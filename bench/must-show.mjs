// What issues 3, 4 and 6 want of speed, and what was measured: ratios within one run, so that a slow machine is no excuse.

const find = (rows, id) => rows?.find((row) => row.id === id || row.name === id || row.operation === id);
const attend = (name, heads, tokens) => (results) =>
  find(results.attention, `attend ${name} ${heads}x${tokens}`)?.ratio;
/** Against f32 in a cache of the same pages, which is what a user of this library has without compression. */
const overPaged = (name, tokens) => (results) => {
  const [base, row] = ["f32, paged cache", name].map((n) =>
    find(results.attention, `attend ${n} 1x${tokens}`),
  );
  return (
    base && row && { median: base.median / row.median, low: base.low / row.high, high: base.high / row.low }
  );
};
const layers = (name, tokens) => (results) => find(results.attention, `layers ${name} ${tokens}`)?.ratio;
const score = (name, tokens, over) => (results) => find(results.attention, `score ${name} ${tokens}`)?.[over];
/** What an operation takes at the longest cache over what it takes at the shortest. */
const growth = (operation) => (results) => {
  const rows = results.cache?.filter((row) => row.operation === operation) ?? [];
  if (rows.length < 2) return undefined;
  const [short, long] = [rows[0], rows.at(-1)];
  return {
    median: long.median / short.median,
    low: long.low / short.high,
    high: long.high / short.low,
  };
};

/** atLeast (or atMost): what is required; aim: what the issue would like. */
export const MUST_SHOW = [
  {
    issue: 6,
    what: "fast against the fastest f32, 1 query head, 1k tokens",
    atLeast: 1.0,
    aim: 1.3,
    of: attend("fast", 1, 1024),
  },
  {
    issue: 6,
    what: "the same, 8k, one layer again and again",
    atLeast: 2.2,
    aim: 3.5,
    of: attend("fast", 1, 8192),
  },
  {
    issue: 6,
    what: "the same, against f32 in a cache of the same pages",
    atLeast: 2.2,
    aim: 3.5,
    of: overPaged("fast", 8192),
  },
  {
    issue: 6,
    what: "the same, 8k, 8 layers in turn as a model has them",
    atLeast: 2.2,
    aim: 3.5,
    of: layers("fast", 8192),
  },
  { issue: 6, what: "the same, 32k", atLeast: 3.5, aim: 6, of: attend("fast", 1, 32768) },
  {
    issue: 6,
    what: "fast, 8 query heads per KV head, 8k",
    atLeast: 1.5,
    aim: 2.5,
    of: attend("fast", 8, 8192),
  },
  { issue: 6, what: "precise, 1 query head, 8k", atLeast: 1.6, aim: 2.9, of: attend("precise", 1, 8192) },
  {
    issue: 6,
    what: "the same, against f32 in a cache of the same pages",
    atLeast: 1.6,
    aim: 2.9,
    of: overPaged("precise", 8192),
  },
  {
    issue: 6,
    what: "the same, 8 layers in turn",
    atLeast: 1.6,
    aim: 2.9,
    of: layers("precise", 8192),
  },
  {
    issue: 6,
    what: "2-bit scores against f32, 2k",
    atLeast: 2.0,
    aim: 3,
    of: score("2 bits, fast", 2048, "ratio"),
  },
  { issue: 6, what: "the same, 8k", atLeast: 4.5, aim: 7, of: score("2 bits, fast", 8192, "ratio") },
  {
    issue: 6,
    what: "4-bit fast scores against q8_0, in cache",
    atLeast: 1.2,
    aim: 1.6,
    of: score("4 bits, fast", 2048, "overQ8"),
  },
  {
    issue: 6,
    what: "4-bit fast scores against q4_0, in cache",
    atLeast: 1.8,
    aim: 2.6,
    of: score("4 bits, fast", 2048, "overQ4"),
  },
  {
    issue: 6,
    what: "two threads against one, 8 heads, 8k",
    atLeast: 1.6,
    aim: 1.9,
    of: (results) => find(results.threads, "two threads")?.ratio,
  },
  {
    issue: 3,
    what: "encode 4 bits against the TypeScript reference",
    atLeast: 20,
    aim: 30,
    of: (results) => find(results.kernels, "encode 4 bits, norm-matching")?.ratio,
  },
  {
    issue: 3,
    what: "encode 4 bits, ns per vector (twice the prototypes')",
    atMost: 314,
    aim: 157,
    of: (results) => find(results.kernels, "encode 4 bits, norm-matching")?.wasm,
  },
  {
    issue: 3,
    what: "Walsh–Hadamard transform against the reference",
    atLeast: 12,
    aim: 17,
    of: (results) => find(results.kernels, "rotate")?.ratio,
  },
  ...["append 1", "fork, free", "fork, truncate, free", "fork, append (COW)"].map((operation) => ({
    issue: 4,
    what: `${operation}: 128k tokens over 1k`,
    atMost: 2,
    aim: 1,
    of: growth(operation),
  })),
  {
    issue: 4,
    what: "memory of the process over accounted bytes",
    atMost: 1.02,
    aim: 1,
    of: (results) => {
      const row = find(results.cache, "memory turbo4/turbo4");
      return row && { median: row.ratio, low: row.ratio, high: row.ratio };
    },
  },
  {
    issue: 6,
    what: "both modules compiled and instantiated, ms",
    atMost: 5,
    aim: 1,
    of: (results) => find(results.modules, "instantiate"),
  },
  {
    issue: 6,
    what: "a decode step beside 1,000 other sequences, over alone",
    atMost: 1.3,
    aim: 1,
    of: (results) => find(results.modules, "decode among many")?.ratio,
  },
];

/** → rows with `measured` and `met`; undefined where the suite did not run. */
export const judge = (results) =>
  MUST_SHOW.map(({ of, ...row }) => {
    const measured = of(results);
    const pick = measured && { median: measured.median, low: measured.low, high: measured.high };
    const met = pick && (row.atLeast !== undefined ? pick.median >= row.atLeast : pick.median <= row.atMost);
    return { ...row, measured: pick ?? null, met: met ?? null };
  });

const digits = (x) => (x >= 100 ? x.toFixed(0) : x.toFixed(2));
export function markdown(rows, environment) {
  const lines = rows.map(({ issue, what, atLeast, atMost, aim, measured, met }) => {
    const required = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`;
    const said = measured
      ? `**${digits(measured.median)}** [${digits(measured.low)}–${digits(measured.high)}]`
      : "not run";
    return `| ${issue} | ${what} | ${required} | ${aim} | ${said} | ${met === null ? "" : met ? "yes" : "no"} |`;
  });
  return [
    `${environment.date.slice(0, 10)}, ${environment.cpu}, ${environment.cores} cores (load ${environment.load}), Node ${environment.node.slice(1)}; medians of rounds [lowest–highest].`,
    "",
    "| issue | ratio | required | aim | measured | met |",
    "|--:|---|--:|--:|--:|---|",
    ...lines,
  ].join("\n");
}
