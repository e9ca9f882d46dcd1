import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { loadEngine } from "@funmatch/engine";
import type { NetworkConfig } from "@funmatch/models";
import { beforeAll, expect, test } from "vitest";
import { accumulatedRun } from "./accumulated-run.ts";

beforeAll(async () => {
  await loadEngine();
});

const TRANSFORMER: NetworkConfig = {
  ...{ kind: "vit", width: 32, depth: 2, mlp: 64, heads: 2, patch: 8 },
  ...{ positions: "learn", pool: "map", image: [32, 32], classes: 10 },
};

test.each([
  ["adam", {}],
  ["sgd", { kind: "sgd", momentum: 0.9, nesterov: true, learningRate: 0.1 }],
  ["a frozen root", { freeze: "root_block/.*" }],
  // A bias of keys has a gradient of nothing but rounding: softmax takes it out again.
  [
    "a ViT",
    { kind: "sgd", momentum: 0.9, nesterov: false, learningRate: 0.1, freeze: ".*/key/bias" },
    TRANSFORMER,
  ],
] as const)(
  "three steps in micro-batches are those of the whole batch to 1e-5: %s",
  (_, optimizer, model?) => {
    const size = { batch: 32, resolution: 32, steps: 3, optimizer, model };
    const whole = accumulatedRun({ ...size, accumulate: 1 });
    expect(whole.sums).toEqual([]);
    for (const accumulate of [2, 8, 32]) {
      const parts = accumulatedRun({ ...size, accumulate });
      for (const [i, { loss, gradientNorm, updateNorm }] of parts.results.entries()) {
        expect(loss / whole.results[i]!.loss).toBeCloseTo(1, 5);
        expect(gradientNorm / whole.results[i]!.gradientNorm).toBeCloseTo(1, 5);
        expect(updateNorm / whole.results[i]!.updateNorm).toBeCloseTo(1, 5);
      }
      expect(Object.keys(parts.state)).toEqual(Object.keys(whole.state));
      for (const [name, values] of Object.entries(whole.state)) {
        const norm = Math.hypot(...values) || 1;
        const error = Math.hypot(...values.map((x, i) => x - parts.state[name]![i]!));
        expect(error / norm, name).toBeLessThan(1e-5);
      }
      expect(parts.sums.length).toBeGreaterThan(0);
      expect(parts.leftOver).toBe(false);
    }
  },
);

test("a batch in eight parts needs less memory", () => {
  const program = fileURLToPath(new URL("./accumulated-run.ts", import.meta.url));
  const peak = (accumulate: number) =>
    Number(
      execFileSync(process.execPath, [program, "256", "64", String(accumulate), "2"], { stdio: "pipe" }),
    );
  const [whole, parts] = [peak(1), peak(8)];
  console.log(`peak memory with a batch of 256 at 64 px: ${whole} MiB, in eight parts ${parts} MiB`);
  expect(parts).toBeLessThan(0.8 * whole);
}, 60_000);
