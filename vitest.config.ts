import { defineConfig } from "vitest/config";

/** Tests that run in Node. Native code lives in them, so each file has a process of its own. */
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/edge-gateway/**"],
    pool: "forks",
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // What a test waits for comes, but late on a machine with other work.
    expect: { poll: { timeout: 20_000 } },
  },
});
