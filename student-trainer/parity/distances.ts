import { UserError } from "@funmatch/config";
import * as tf from "@tensorflow/tfjs-core";
import {
  agreement,
  euclideanDistance,
  hardDistance,
  klDistance,
  l2Distance,
  logSoftmaxDistance,
} from "../learn/distance.ts";
import { type Check, compare, type Row } from "./check.ts";
import { type Golden, named, numbers, toTensor } from "./golden.ts";

const TOLERANCE = { relative: 1e-4 };

type Distance = (student: tf.Tensor2D, teacher: tf.Tensor2D) => tf.Tensor1D;

/** Every distance in the file; its settings stand in its name, as in `hard_ls=0.1`. */
export async function distancesRow(golden: Golden): Promise<Row> {
  const arrays = await golden.arrays("distances.npz");
  const student = toTensor<tf.Tensor2D>(named(arrays, "student"));
  const teacher = toTensor<tf.Tensor2D>(named(arrays, "teacher"));
  const checks: Check[] = [];
  for (const [name, array] of arrays) {
    if (name === "student" || name === "teacher") continue;
    const ours = name.startsWith("grad_")
      ? tf.grad((s) => tf.mean(distanceNamed(name.slice("grad_".length))(s as tf.Tensor2D, teacher)))(student)
      : distanceNamed(name)(student, teacher);
    const tolerance = name.startsWith("agree") ? { absolute: 0.5 } : TOLERANCE;
    checks.push(compare(name, ours.dataSync(), numbers(array), tolerance));
  }
  return { name: "distances", checks };
}

function distanceNamed(name: string): Distance {
  const kind = name.replace(/(_(t|ls|k)=[^_]+)+$/, "");
  const setting = (key: string, otherwise: number): number =>
    Number(new RegExp(`_${key}=([^_]+)`).exec(name)?.[1] ?? otherwise);
  switch (kind) {
    case "kl":
      return (s, t) => klDistance(s, t, setting("t", 1));
    case "euclidean":
      return euclideanDistance;
    case "l2":
      return l2Distance;
    case "hard":
      return (s, t) => hardDistance(s, t, setting("ls", 0));
    case "logsoftmax_euclidean":
      return logSoftmaxDistance;
    case "agree":
      return (s, t) => agreement(s, t, setting("k", 1));
    default:
      throw new UserError(`distances.npz: no distance is called ${kind}`);
  }
}
