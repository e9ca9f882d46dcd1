import { captureStep, loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";

await loadEngine();
test("state counts", () => {
  const c = captureStep({
    inputs: { x: { shape: [3], dtype: "uint8" }, y: { shape: [3], dtype: "float32" } },
    state: { n: { shape: [], values: Float32Array.of(5) } },
    fn: ({ x, y }, { n }) => ({
      outputs: { s: tf.sum(x!).mul(n!), y: y!, n: n!, again: n! },
      state: { n: n!.add(1) },
    }),
  });
  const r = c.run({ x: Uint8Array.of(1, 2, 255), y: Float32Array.of(1, 2, 3) });
  expect(r.s).toEqual(Float32Array.of(258 * 5));
  console.log(r);
  console.log(c.run({ x: Uint8Array.of(1, 2, 255), y: Float32Array.of(1, 2, 3) }), c.readState());
});
