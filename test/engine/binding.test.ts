import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

/** A few operations in a process of its own, eagerly; what it writes to stderr is the test's. */
const PROGRAM = `
  import * as tf from "@tensorflow/tfjs-core";
  import { loadEngine } from "@funmatch/engine";
  await loadEngine();
  const image = tf.ones([1, 8, 8, 3]);
  const maps = tf.conv2d(image, tf.ones([3, 3, 3, 1]), [2, 2], "same");
  console.log(tf.sum(tf.concat([maps, maps])).arraySync());
`;

test("the engine says nothing that nobody asked for", () => {
  const args = ["--input-type=module-typescript", "--eval", PROGRAM];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    cwd: import.meta.dirname,
  });
  // Twice 4 × 4 windows of 27 ones, less what falls over the right and the lower edge.
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "726\n", stderr: "" });
});
