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

/** What the main thread and two workers say. */
function run(env: NodeJS.ProcessEnv): Said[] {
  const program = join(import.meta.dirname, "fused-in-threads.ts");
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout) as Said[];
}
