/**
 * Directions (cos, sin) of recursive polar coordinates, as f32 bit patterns: level 1 has sixteen equal sectors of the
 * circle (boundaries of its upper half; the lower half is the same turned by π), levels 2 to 4 the Lloyd–Max points
 * of their angle's density. Made by scripts/freeze-polar.mjs, re-derived by test/core/recursive-polar.test.ts.
 */
import { f32FromBits } from "./float.js";

// biome-ignore format: tables
export const POLAR_TABLES: readonly { readonly centroids: Float32Array; readonly boundaries: Float32Array }[] = [
  {
    centroids: f32FromBits([0x3f7b14be, 0x3e47c5c2, 0x3f54db31, 0x3f0e39da, 0x3f0e39da, 0x3f54db31, 0x3e47c5c2, 0x3f7b14be, 0xbe47c5c2, 0x3f7b14be, 0xbf0e39da, 0x3f54db31, 0xbf54db31, 0x3f0e39da, 0xbf7b14be, 0x3e47c5c2, 0xbf7b14be, 0xbe47c5c2, 0xbf54db31, 0xbf0e39da, 0xbf0e39da, 0xbf54db31, 0xbe47c5c2, 0xbf7b14be, 0x3e47c5c2, 0xbf7b14be, 0x3f0e39da, 0xbf54db31, 0x3f54db31, 0xbf0e39da, 0x3f7b14be, 0xbe47c5c2]),
    boundaries: f32FromBits([0x3f6c835e, 0x3ec3ef15, 0x3f3504f3, 0x3f3504f3, 0x3ec3ef15, 0x3f6c835e, 0x248d3132, 0x3f800000, 0xbec3ef15, 0x3f6c835e, 0xbf3504f3, 0x3f3504f3, 0xbf6c835e, 0x3ec3ef15]),
  },
  {
    centroids: f32FromBits([0x3f73d102, 0x3e9c1234, 0x3f4e40cb, 0x3f17a4a8, 0x3f17a4a8, 0x3f4e40cb, 0x3e9c1234, 0x3f73d102]),
    boundaries: f32FromBits([0x3f640645, 0x3ee8baec, 0x3f3504f3, 0x3f3504f3, 0x3ee8baec, 0x3f640645]),
  },
  {
    centroids: f32FromBits([0x3f691805, 0x3ed3b0e5, 0x3f47f596, 0x3f1fd9cc, 0x3f1fd9cc, 0x3f47f596, 0x3ed3b0e5, 0x3f691805]),
    boundaries: f32FromBits([0x3f5a342c, 0x3f05e08f, 0x3f3504f3, 0x3f3504f3, 0x3f05e08f, 0x3f5a342c]),
  },
  {
    centroids: f32FromBits([0x3f5d9fab, 0x3f0022eb, 0x3f42d255, 0x3f2612eb, 0x3f2612eb, 0x3f42d255, 0x3f0022eb, 0x3f5d9fab]),
    boundaries: f32FromBits([0x3f5115bb, 0x3f13b6dc, 0x3f3504f3, 0x3f3504f3, 0x3f13b6dc, 0x3f5115bb]),
  },
];
