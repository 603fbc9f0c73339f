// Prints src/core/recursive-polar-tables.ts: `npm run build && node scripts/freeze-polar.mjs`.
// test/core/recursive-polar.test.ts re-derives every entry.
import { lloydMax } from "../dist/index.js";

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);
const word = (v) => {
  f32[0] = v;
  return `0x${u32[0].toString(16).padStart(8, "0")}`;
};
const pairs = (angles) => angles.map((t) => `${word(Math.cos(t))}, ${word(Math.sin(t))}`).join(", ");
const entry = (centroids, boundaries) =>
  `  {\n    centroids: f32FromBits([${pairs(centroids)}]),\n    boundaries: f32FromBits([${pairs(boundaries)}]),\n  },`;

const circle = entry(
  Array.from({ length: 16 }, (_, k) => ((k + 0.5) * Math.PI) / 8),
  Array.from({ length: 7 }, (_, k) => ((k + 1) * Math.PI) / 8),
);
const levels = [2, 3, 4].map((level) => {
  const { centroids, boundaries } = lloydMax({ bits: 2, distribution: { polar: level } });
  const shift = (angles) => [...angles].map((t) => t + Math.PI / 4);
  return entry(shift(centroids), shift(boundaries));
});
console.log(`/**
 * Directions (cos, sin) of recursive polar coordinates, as f32 bit patterns: level 1 has sixteen equal sectors of the
 * circle (boundaries of its upper half; the lower half is the same turned by π), levels 2 to 4 the Lloyd–Max points
 * of their angle's density. Made by scripts/freeze-polar.mjs, re-derived by test/core/recursive-polar.test.ts.
 */
import { f32FromBits } from "./float.js";

// biome-ignore format: tables
export const POLAR_TABLES: readonly { readonly centroids: Float32Array; readonly boundaries: Float32Array }[] = [
${[circle, ...levels].join("\n")}
];`);
