import { defineConfig } from "vitest/config";

/** `npm run mutants`: what judges the mutants of src/core (stryker.config.json). */
export default defineConfig({
  test: {
    include: ["test/core/**/*.test.ts", "test/formats/turbo.test.ts"],
    exclude: ["test/**/*.long.test.ts"],
    testTimeout: 60_000,
  },
});
