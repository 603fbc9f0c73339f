import { defineConfig } from "vitest/config";

/** `npm run test:long`: exhaustive contracts and theory at full sample size; CI runs it while it fits. */
export default defineConfig({
  test: {
    include: ["test/**/*.long.test.ts"],
    testTimeout: 1_500_000,
    pool: "threads",
    maxWorkers: 2,
  },
});
