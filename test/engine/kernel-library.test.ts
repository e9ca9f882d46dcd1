import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Said } from "./fused-in-threads.ts";

test("every thread has the fused operations, and JavaScript its subnormal numbers", () => {
  const said = run({});
  expect(said).toHaveLength(3);
  for (const one of said) {
    expect(one.kernels).toContain("group_norm_relu");
    expect(one).toEqual(said[0]);
  }
  expect(said[0]!.subnormal).toBeGreaterThan(0);
});

test("FUNMATCH_KERNELS=plain computes the same without them", () => {
  const [plain] = run({ FUNMATCH_KERNELS: "plain" });
  const [fused] = run({});
  expect(plain!.kernels).toBe("(FUNMATCH_KERNELS is plain)");
  for (const [i, value] of plain!.y.entries()) expect(fused!.y[i]).toBeCloseTo(value, 5);
});

test("results are the same bits whatever the number of threads", () => {
  const digests = [1, 2, 5].map((threads) =>
    output("fused-digest.ts", { TF_NUM_INTRAOP_THREADS: String(threads) }),
  );
  expect(digests[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(new Set(digests).size).toBe(1);
});

/** What the main thread and two workers say. */
function run(env: NodeJS.ProcessEnv): Said[] {
  return JSON.parse(output("fused-in-threads.ts", env)) as Said[];
}

/** What a program beside this file writes; it must not complain. */
function output(file: string, env: NodeJS.ProcessEnv): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, file)], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}
