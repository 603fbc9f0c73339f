// Prints src/core/codebook-tables.ts from the solver: `npm run build && node scripts/freeze-codebooks.mjs`.
// test/core/codebook.test.ts re-derives every entry, so this is run only when a table is added.
import { lloydMax } from "../dist/index.js";

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);
const hex = (values) =>
  [...values].map((v) => {
    f32[0] = v;
    return `0x${u32[0].toString(16).padStart(8, "0")}`;
  });
const table = (values) => {
  const words = hex(values);
  const lines = [];
  for (let i = 0; i < words.length; i += 8) lines.push(`    ${words.slice(i, i + 8).join(", ")},`);
  return `  [\n${lines.join("\n")}\n  ],`;
};

const all = Array.from({ length: 8 }, (_, i) => lloydMax({ bits: i + 1, distribution: "gaussian" }));
const half = (values) => values.slice(values.length / 2);
const positive = (values) => values.slice((values.length + 1) / 2);
console.log(`/**
 * Lloyd–Max fixed points of N(0,1) for 1 … 8 bits, as f32 bit patterns: entry b − 1 is for b bits. Positive halves
 * only; the tables are odd-symmetric and the middle boundary is 0. Made by scripts/freeze-codebooks.mjs from
 * lloyd-max.ts, re-derived by test/core/codebook.test.ts.
 */

/** Positive centroids, ascending. */
// biome-ignore format: tables
export const GAUSSIAN_CENTROIDS: readonly (readonly number[])[] = [
${all.map((q) => table(half(q.centroids))).join("\n")}
];

/** Positive boundaries, ascending: the f64 midpoints rounded once. */
// biome-ignore format: tables
export const GAUSSIAN_BOUNDARIES: readonly (readonly number[])[] = [
${all.map((q) => table(positive(q.boundaries))).join("\n")}
];`);
