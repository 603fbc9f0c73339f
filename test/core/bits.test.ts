/** Laws of packed codes at their edges, and of halves by arrays: what mutants of these files survived before. */
import { expect, test } from "vitest";
import { packCodes, packedBytes, unpackCodes } from "../../src/core/bits.js";
import { fromF16, fromF16Array, toF16, toF16Array } from "../../src/core/float.js";

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  "%i bits: nothing behind the last byte is touched, for any count",
  (bits) => {
    for (let count = 0; count <= 17; count++) {
      const codes = Uint8Array.from({ length: count }, (_, i) => (i * 37 + 11) & ((1 << bits) - 1));
      const bytes = packedBytes(count, bits);
      const out = new Uint8Array(bytes + 2).fill(0xa5);
      packCodes(codes, bits, out);
      expect([...out.subarray(bytes)]).toEqual([0xa5, 0xa5]);
      // Read bit by bit off the definition.
      const read = codes.map((_, i) => {
        let code = 0;
        for (let b = 0; b < bits; b++) code |= ((out[(i * bits + b) >> 3]! >> ((i * bits + b) & 7)) & 1) << b;
        return code;
      });
      expect(read).toEqual(codes);
      const room = new Uint8Array(count);
      unpackCodes(out.subarray(0, bytes), bits, room);
      expect(room).toEqual(codes);
    }
  },
);

test("arrays of halves are halves one by one", () => {
  const x = Float32Array.of(0, -0, 1, -2.5, 65519.996, 65520, 2 ** -24, 1e-9, Number.POSITIVE_INFINITY);
  const halves = toF16Array(x);
  expect([...halves]).toEqual(Array.from(x, toF16));
  const back = fromF16Array(halves);
  expect(back.length).toBe(x.length);
  expect(Array.from(halves, fromF16).every((v, i) => Object.is(v, back[i]))).toBe(true);
});
