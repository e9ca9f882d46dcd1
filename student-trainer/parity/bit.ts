import { captureStep } from "@funmatch/engine";
import { bit, bitConfigOf, loadBitWeights, namesInNpz, readNpzMember, type Weights } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import { klDistance } from "../learn/distance.ts";
import { type Check, compare, failed, type Row, worst } from "./check.ts";
import { type Golden, named, numbers } from "./golden.ts";
import { pickledArrays } from "./pickled-arrays.ts";

const FILE = "bit_forward.npz";
const LOGITS = { absolute: 2e-4 };
const GRADIENTS = { relativeL2: 1e-3 };
/** The golden vectors set none for what lies between: this is what float32 leaves of them, with room. */
const FEATURES = { relativeL2: 1e-4 };

/** The model's outputs and the gradients of its distance from a teacher, captured as in training. */
export async function bitForwardRow(golden: Golden): Promise<Row> {
  const isStage = (name: string): boolean => /^stage\d+/.test(name);
  const arrays = await golden.arrays(FILE, { only: (name) => !isStage(name) });
  const weights = await loadBitWeights(golden.path("bit_params.npz"));
  const [x, teacher] = [named(arrays, "x"), named(arrays, "teacher_logits")];
  const step = captureForwardAndGradients(
    weights,
    x.shape,
    teacher.shape,
    numbers(named(arrays, "temperature"))[0]!,
  );
  const ours = step.run({ x: numbers(x), teacher: numbers(teacher) });
  step.dispose();

  const against = (name: string, tolerance: Parameters<typeof compare>[3]): Check =>
    compare(name, ours[name]!, numbers(named(arrays, name)), tolerance);
  const stages = (await namesInNpz(golden.path(FILE))).filter(isStage);
  const stageChecks = await Promise.all(stages.map((name) => checkStage(golden, name, ours)));
  const gradients = Object.keys(weights).map((name) => against(`grad/${name}`, GRADIENTS));
  return {
    name: "bit_forward",
    checks: [
      against("stem", FEATURES),
      ...stageChecks.flat(),
      against("pre_logits", FEATURES),
      against("logits", LOGITS),
      against("loss", { relative: 1e-4 }),
      worst("gradients", gradients),
    ],
  };
}

function captureForwardAndGradients(
  weights: Weights,
  images: number[],
  logits: number[],
  temperature: number,
): ReturnType<typeof captureStep> {
  const names = Object.keys(weights);
  const network = bit(bitConfigOf(weights));
  return captureStep({
    inputs: { x: { shape: images, dtype: "float32" }, teacher: { shape: logits, dtype: "float32" } },
    state: weights,
    fn: (inputs, state) => {
      const x = inputs.x as tf.Tensor4D;
      const run = (values: tf.Tensor[]) =>
        network(Object.fromEntries(names.map((name, i) => [name, values[i]!])), x);
      const params = names.map((name) => state[name]!);
      const { stem, stages, preLogits, logits: own } = run(params);
      const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) =>
        tf.mean<tf.Scalar>(klDistance(run(values).logits, inputs.teacher as tf.Tensor2D, temperature)),
      )(params);
      const outputs: Record<string, tf.Tensor> = { stem, pre_logits: preLogits, logits: own, loss: value };
      stages.forEach((units, i) => {
        for (const [unit, output] of Object.entries(units)) outputs[`stage${i + 1}/${unit}`] = output;
      });
      names.forEach((name, i) => {
        outputs[`grad/${name}`] = grads[i]!;
      });
      return { outputs };
    },
  });
}

/**
 * A stage is stored as JAX returned it, a dictionary of its units' outputs, which numpy can only pickle; as a plain
 * array it is the last unit's.
 */
async function checkStage(
  golden: Golden,
  name: string,
  ours: Record<string, ArrayLike<number>>,
): Promise<Check[]> {
  const [stage, unit] = name.split("/") as [string, string | undefined];
  const units = Object.keys(ours).filter((key) => key.startsWith(`${stage}/`));
  const plain = await golden.arrays(FILE, { only: (found) => found === name }).catch(() => undefined);
  if (plain) {
    const last = unit ? name : units.sort().at(-1);
    const mine = last && ours[last];
    if (!mine) return [failed(name, "the model has no such stage")];
    return [compare(name, mine, numbers(named(plain, name)), FEATURES)];
  }
  const member = await readNpzMember(golden.path(FILE), name);
  const content = pickledArrays(member.subarray(10 + member.readUInt16LE(8)));
  return Object.entries(content).map(([key, { data }]) => {
    const mine = ours[`${name}/${key}`];
    return mine ? compare(`${name}/${key}`, mine, data, FEATURES) : failed(`${name}/${key}`, "no such unit");
  });
}
