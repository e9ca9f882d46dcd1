import { UserError } from "@funmatch/config";
import { isStatistic, type NetworkOutputs, type Weights } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";

/** What the functions of a user's module return is checked here before anything is computed with it. */

/** Names are paths, and members of the files that hold the parameters. */
const NAME = /^\w[\w.-]*(\/\w[\w.-]*)*$/;

/**
 * @param again what `init` gave another time, which must be the same
 * @throws UserError naming the parameter and what is wrong with it
 */
export function checkedWeights(file: string, made: unknown, again: unknown): Weights {
  const fail = (message: string): never => {
    throw new UserError(`${file}: init: ${message}`);
  };
  if (!isRecord(made)) return fail("expected { name: { shape, values }, … }");
  const weights: Weights = {};
  for (const [name, entry] of Object.entries(made)) {
    if (!NAME.test(name)) fail(`"${name}" is no name for a parameter: give a path such as block1/kernel`);
    const { shape, values } = isRecord(entry) ? entry : {};
    if (!isShape(shape)) return fail(`${name} has no shape of whole numbers from 1`);
    if (!(values instanceof Float32Array || Array.isArray(values)))
      return fail(`the values of ${name} are neither a Float32Array nor an array`);
    const count = shape.reduce((product, side) => product * side, 1);
    if (values.length !== count)
      fail(`${name} has ${values.length} values, its shape [${shape}] takes ${count}`);
    const floats = Float32Array.from(values);
    const bad = floats.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) fail(`${name}[${bad}] is ${values[bad]}`);
    weights[name] = { shape: [...shape], values: floats };
    const second = (again as Record<string, { values?: ArrayLike<number> }>)[name]?.values ?? [];
    if (floats.some((value, i) => value !== Math.fround(second[i]!)))
      fail(`${name} has other values the second time: draw numbers by normal(name, count) alone`);
  }
  if (!Object.keys(weights).some((name) => !isStatistic(name))) fail("there is no parameter to train");
  return weights;
}

/**
 * @returns the logits, what the head reads (or, untold, the logits again) and, of a pass of training, the new running
 *   statistics
 * @throws UserError when they are not what the network needs
 */
export function checkedResult(
  file: string,
  returned: unknown,
  o: { images: number; classes: number; params: Record<string, tf.Tensor>; training: boolean },
): NetworkOutputs {
  const fail = (message: string): never => {
    throw new UserError(`${file}: apply: ${message}`);
  };
  const parts: Record<string, unknown> =
    returned instanceof tf.Tensor ? { logits: returned } : ((returned ?? {}) as Record<string, unknown>);
  const { logits, preLogits = logits, statistics } = parts;
  if (!(logits instanceof tf.Tensor))
    return fail("expected it to return the logits, or { logits, statistics }, at once and not as a promise");
  if (logits.dtype !== "float32" || logits.shape.join() !== [o.images, o.classes].join())
    fail(`the logits are ${logits.dtype} [${logits.shape}], expected float32 [${o.images},${o.classes}]`);
  if (!(preLogits instanceof tf.Tensor) || preLogits.rank !== 2 || preLogits.shape[0] !== o.images)
    return fail(`preLogits is no tensor [${o.images},C]`);
  const outputs = { logits: logits as tf.Tensor2D, preLogits: preLogits as tf.Tensor2D };
  if (!o.training) return outputs;
  const moved = (isRecord(statistics) ? statistics : {}) as Record<string, tf.Tensor>;
  for (const name of Object.keys(o.params).filter(isStatistic)) {
    const shape = o.params[name]!.shape;
    if (!(moved[name] instanceof tf.Tensor))
      fail(`in training it has to return the new value of ${name}: { logits, statistics: { "${name}": … } }`);
    if (moved[name]!.shape.join() !== shape.join())
      fail(`the new value of ${name} is [${moved[name]!.shape}], expected [${shape}]`);
  }
  const stray = Object.keys(moved).find((name) => !o.params[name] || !isStatistic(name));
  if (stray !== undefined)
    fail(
      `${stray} is no running statistic: those are what init made with names that end in /mean or /variance`,
    );
  return { ...outputs, statistics: moved };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isShape(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((side) => Number.isInteger(side) && side >= 1);
}
