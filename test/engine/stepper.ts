import { CaptureError, captureStep } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";

/** An engine worker's module for worker.test.ts: sums bytes, multiplies large matrices, fails on demand. */
export interface Stepper {
  sum(images: Uint8Array): { sum: number };
  work(rounds: number): number;
  fail(kind: "capture" | "user" | "uncloneable"): unknown;
  crash(how: "throw" | "exit"): Promise<never>;
}

export async function start(init: { size: number }): Promise<Stepper> {
  const sum = captureStep({
    inputs: { images: { shape: [init.size], dtype: "uint8" } },
    fn: ({ images }) => ({ outputs: { sum: tf.sum(images!) } }),
  });
  const work = captureStep({
    inputs: { x: { shape: [700, 700], dtype: "float32" } },
    fn: ({ x }) => ({ outputs: { y: tf.sum(tf.matMul(tf.matMul(x!, x!), x!)) } }),
  });
  return {
    sum: (images) => ({ sum: sum.run({ images }).sum![0]! }),
    work(rounds) {
      const x = new Float32Array(700 * 700).fill(0.01);
      let y = 0;
      for (let i = 0; i < rounds; i++) y = work.run({ x }).y![0]!;
      return y;
    },
    fail(kind) {
      if (kind === "capture") throw new CaptureError("no graph");
      if (kind === "user")
        throw Object.assign(new Error("your file"), { name: "UserError", code: "ENOFILE" });
      return () => {};
    },
    crash(how) {
      if (how === "exit") process.exit(3);
      return new Promise(() => {
        setTimeout(() => {
          throw new RangeError("lost my head");
        });
      });
    },
  };
}
