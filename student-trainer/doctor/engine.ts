import { captureStep, EngineError, loadEngine } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";
import { type Finding, fault, warning, well } from "./finding.ts";

/** Whether the engine is there, loads, and computes a captured training step as it should. */
export async function checkEngine(): Promise<Finding[]> {
  const name = "engine";
  try {
    const began = performance.now();
    const { tensorflow, device } = await loadEngine();
    const wrong = tinyStep();
    const said = `TensorFlow ${tensorflow} on the ${device.toUpperCase()}`;
    if (wrong !== undefined)
      return [
        fault(name, `${said} computes wrongly: ${wrong}`, "remove its cache and run funmatch engine install"),
      ];
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    const found = [well(name, `${said}, loaded and a step captured in ${seconds} s`)];
    const node = Number(process.versions.node.split(".")[0]);
    if (node < 24)
      found.push(
        warning("node", `Node ${process.versions.node}`, "use Node 24, which the project brings (npx)"),
      );
    return found;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return [fault(name, error.message, "funmatch engine install")];
  }
}

/** One step of gradient descent on the mean of (w x)², against what comes out by hand; answers what differs. */
function tinyStep(): string | undefined {
  const [w, x] = [
    [1, -2, 3],
    [0.5, 1, -1],
  ] as const;
  const step = captureStep({
    inputs: { x: { shape: [3], dtype: "float32" } },
    state: { w: { shape: [3], values: Float32Array.from(w) } },
    fn: (inputs, state) => {
      const loss = (weights: tf.Tensor): tf.Scalar => tf.mean(tf.square(tf.mul(weights, inputs.x!)));
      const { value, grad } = tf.valueAndGrad(loss)(state.w!);
      return { outputs: { loss: value }, state: { w: tf.sub(state.w!, grad) } };
    },
  });
  try {
    const { loss } = step.run({ x: Float32Array.from(x) });
    const after = step.readState(["w"]).w!;
    const wanted = w.map((weight, i) => weight - (2 * weight * x[i]! ** 2) / 3);
    const wantedLoss = w.reduce((sum, weight, i) => sum + (weight * x[i]!) ** 2, 0) / 3;
    const off = Math.max(
      Math.abs(loss![0]! - wantedLoss),
      ...wanted.map((value, i) => Math.abs(value - after[i]!)),
    );
    return off < 1e-5 ? undefined : `a step is off by ${off.toPrecision(2)}`;
  } finally {
    step.dispose();
  }
}
