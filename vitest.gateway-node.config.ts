import { defineConfig } from "vitest/config";

/** The gateway's tests against its Node build: the same files as in workerd, the gateway behind a real socket. */
export default defineConfig({
  resolve: { alias: { "#host": new URL("./test/edge-gateway/hosts/node.ts", import.meta.url).pathname } },
  test: {
    include: ["test/edge-gateway/*.test.ts", "test/edge-gateway/node/*.test.ts"],
    pool: "forks",
    testTimeout: 30_000,
    expect: { poll: { timeout: 10_000 } },
  },
});
