/** The frozen trellis tables: repeated from their seeds, and fixed points on samples that they have not seen. */
import { describe, expect, test } from "vitest";
import { fitTrellis, trainingSamples, trainTrellis } from "../../src/core/train-trellis.js";
import { TRELLIS_NAMES, TRELLIS_TABLES, trellisByName } from "../../src/core/trellis-tables.js";

describe.each(TRELLIS_NAMES)("%s", (name) => {
  test("training gives the same bits", () => {
    const { table, ...shape } = TRELLIS_TABLES[name];
    const again = trainTrellis(shape).table;
    expect(Array.from(new Uint32Array(again.buffer))).toEqual([...table]);
  });

  test("entries are the means of what they code, and another iteration gains nothing", () => {
    const trellis = trellisByName(name);
    const samples = trainingSamples(77, "unseen", 8000);
    const fit = fitTrellis(trellis, samples);
    let squares = 0;
    for (let w = 0; w < trellis.table.length; w++) {
      expect(fit.counts[w]).toBeGreaterThan(0);
      // The table was trained on fewer samples than these: its own error and this one's.
      const se = Math.sqrt(fit.variances[w]! / fit.counts[w]!);
      const off = Math.abs(fit.means[w]! - trellis.table[w]!) / se;
      expect(off).toBeLessThan(8);
      squares += off * off;
    }
    expect(squares / trellis.table.length).toBeLessThan(8);
    const next = { ...trellis, table: Float32Array.from(fit.means) };
    const fresh = trainingSamples(78, "unseen", 8000);
    const moved = fitTrellis(next, fresh).distortion / fitTrellis(trellis, fresh).distortion;
    expect(Math.abs(moved - 1)).toBeLessThan(0.002);
  });
});
