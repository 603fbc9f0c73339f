/** What the modules weigh: below 64 KB as they are and 10 KB gzipped, each. */
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { KERNELS_BASE64 } from "../../src/kernels/embedded.generated.js";
import { ATTENTION_BASE64 } from "../../src/kernels/embedded-attention.generated.js";

test.each([
  ["the codec's", KERNELS_BASE64],
  ["attention's", ATTENTION_BASE64],
])("%s module", (_, base64) => {
  const bytes = Buffer.from(base64, "base64");
  expect(WebAssembly.validate(bytes)).toBe(true);
  expect(bytes.length).toBeLessThan(64 * 1024);
  expect(gzipSync(bytes, { level: 9 }).length).toBeLessThan(10 * 1024);
});
