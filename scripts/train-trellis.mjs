// Prints src/core/trellis-tables.ts from the training: `npm run build && node scripts/train-trellis.mjs`, some minutes;
// test/core/trellis.long.test.ts repeats it, so this is run only when a table is added or trained better.
// `node scripts/train-trellis.mjs trellis2` prints one row.
import { f32Bits } from "../dist/core/float.js";
import { trainTrellis } from "../dist/core/train-trellis.js";

const SHAPES = [
  { name: "trellis1", window: 4, bits: 1, seed: 2, starts: 300 },
  { name: "trellis2", window: 4, bits: 2, seed: 1, starts: 48 },
  { name: "trellis3", window: 4, bits: 3, seed: 1, starts: 100 },
  { name: "trellis2x", window: 6, bits: 2, seed: 1, starts: 80 },
  { name: "trellis3x", window: 6, bits: 3, seed: 1, starts: 16 },
  { name: "trellis4x", window: 6, bits: 4, seed: 1, starts: 16 },
];

function row({ name, window, bits, seed, starts }) {
  const { table } = trainTrellis({ bits, window, seed, starts });
  const words = [...table].map((v) => `0x${f32Bits(v).toString(16).padStart(8, "0")}`);
  const lines = [];
  for (let i = 0; i < words.length; i += 8) lines.push(`      ${words.slice(i, i + 8).join(", ")},`);
  return `  ${name}: {
    bits: ${bits},
    window: ${window},
    seed: ${seed},
    starts: ${starts},
    table: [
${lines.join("\n")}
    ],
  },`;
}

const asked = process.argv.slice(2);
if (asked.length > 0)
  for (const shape of SHAPES.filter(({ name }) => asked.includes(name))) console.log(row(shape));
else
  console.log(`/**
 * Trellis tables trained on N(0,1), as f32 bit patterns in the order of windows, with the seed and the number of starts
 * that they follow from. Made by scripts/train-trellis.mjs from train-trellis.ts, repeated by
 * test/core/trellis.long.test.ts.
 */
import { f32FromBits } from "./float.js";
import type { Trellis } from "./trellis.js";

// biome-ignore format: tables
export const TRELLIS_TABLES = {
${SHAPES.map(row).join("\n")}
} as const;

export type TrellisName = keyof typeof TRELLIS_TABLES;
export const TRELLIS_NAMES = Object.keys(TRELLIS_TABLES) as readonly TrellisName[];

/** The trellis of a format. */
export function trellisByName(name: TrellisName): Trellis {
  const { bits, window, table } = TRELLIS_TABLES[name];
  return { bits, window, table: f32FromBits(table) };
}`);
