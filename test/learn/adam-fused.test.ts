import { loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { adam } from "../../student-trainer/learn/adam.ts";
import { type OptimizerInputs, optimizerUpdate } from "../../student-trainer/learn/optimizer.ts";
import { relativeDifference, seeded } from "../engine/fused-and-plain.ts";

beforeAll(async () => {
  await loadEngine();
});

/** A number, sizes that fill no vector, one that is more than one piece of work. */
const SHAPES = { bias: [1], "odd/kernel": [3, 5, 7], vector: [1000], "large/kernel": [70, 700] };

type Tensors = Record<string, tf.Tensor>;

describe.each(["float32", "bfloat16"] as const)(
  "Adam in one operation, first moment in %s",
  (firstMoment) => {
    test.each([
      ["clipped", 1],
      ["not clipped", 1e6],
    ])("six steps, %s, are the plain operations'", (_, clip) => {
      const whole = adam({ firstMoment });
      expect(whole.whole).toBeDefined();
      const inParts = { ...whole, whole: undefined };
      let [fused, plain] = [first(), first()];
      for (let step = 1; step <= 6; step++) {
        const grads = record((name, shape) => seeded(step * 10 + name.length, shape, 2 ** (step - 3)));
        const o = { grads, clip, step: tf.scalar(step), multiplier: tf.scalar(step / 6) };
        const after = optimizerUpdate({ ...settings, ...o, ...fused, rule: whole });
        const wanted = optimizerUpdate({ ...settings, ...o, ...plain, rule: inParts });
        for (const norm of ["gradientNorm", "updateNorm"] as const) {
          expect(relativeDifference(after[norm].dataSync(), wanted[norm].dataSync())).toBeLessThan(2e-6);
        }
        [fused, plain] = [after, wanted];
      }
      for (const [name, tensor] of Object.entries({ ...plain.params, ...plain.slots })) {
        const got = { ...fused.params, ...fused.slots }[name]!;
        // a moment that is rounded to eight bits may fall to the other side, and the next update with it
        const narrow = name.startsWith("mu/") ? 2 ** -8 : settings.learningRate * 2 ** -8;
        const tolerance = firstMoment === "bfloat16" ? narrow : 2e-6;
        expect(relativeDifference(got.dataSync(), tensor.dataSync()), name).toBeLessThan(tolerance);
      }
    });

    test("the same bits each time, and what it is given stays as it was", () => {
      const rule = adam({ firstMoment });
      const given = first();
      const grads = record((_, shape) => seeded(1, shape));
      const before = [...Object.values(grads), ...Object.values(given.params)].map((t) =>
        t.dataSync().slice(),
      );
      const once = () => {
        const o = { grads, clip: 1, step: tf.scalar(1), multiplier: tf.scalar(1) };
        const { params, slots } = optimizerUpdate({ ...settings, ...o, ...given, rule });
        return Object.values({ ...params, ...slots }).map((tensor) => tensor.dataSync());
      };
      expect(once()).toEqual(once());
      expect([...Object.values(grads), ...Object.values(given.params)].map((t) => t.dataSync())).toEqual(
        before,
      );
    });
  },
);

const settings: Pick<OptimizerInputs, "learningRate" | "weightDecay" | "decays"> = {
  learningRate: 0.01,
  weightDecay: 0.02,
  decays: /^(.*\/kernel)$/,
};

function first(): { params: Tensors; slots: Tensors } {
  const zeros = (slot: string) =>
    Object.entries(SHAPES).map(([name, shape]) => [`${slot}/${name}`, tf.zeros(shape)]);
  return {
    params: record((name, shape) => seeded(name.length, shape)),
    slots: Object.fromEntries([...zeros("mu"), ...zeros("nu")]),
  };
}

function record(value: (name: string, shape: number[]) => tf.Tensor): Tensors {
  return Object.fromEntries(Object.entries(SHAPES).map(([name, shape]) => [name, value(name, shape)]));
}
