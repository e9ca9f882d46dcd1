import { freezeGraph, loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";

// Alone in its process: nothing else has made tfjs ready to be recorded.
beforeAll(async () => {
  await loadEngine();
});

test("rows that are chosen by what was computed can be frozen", () => {
  const { nodes, outputs } = freezeGraph({
    input: { name: "images", shape: [3], dtype: "float32" },
    fn: (images) => ({ first: tf.gather(images, tf.argMax(images, 0)) }),
  });
  expect(nodes.map(({ op }) => op)).toContain("GatherV2");
  expect(outputs).toMatchObject([{ name: "first", shape: [3, 3] }]);
});
