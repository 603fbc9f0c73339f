import { defineConfig } from "vitest/config";

/** `npm test`: under five minutes on two cores. Suites named *.long.test.ts run with `npm run test:long`. */
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/**/*.long.test.ts"],
    testTimeout: 300_000,
    pool: "threads",
    maxWorkers: 2,
  },
});
