import { type Captured, captureStep } from "@funmatch/engine";
import * as tf from "@tensorflow/tfjs-core";

/** Ridge on a matrix before its root is taken, as a share of its largest row sum. */
export const RIDGE = 1e-6;
const ITERATIONS = 30;

/**
 * `(A + ridge I)^(-1/4)` of symmetric, positive semidefinite matrices by the coupled Newton iteration (Guo and Higham
 * 2006): `M` goes to `I` while `H` goes to the root. The number of iterations is fixed and enough for the ridge.
 *
 * @param matrices [N,B,B]
 * @returns [N,B,B]
 */
export function inverseFourthRoot(matrices: tf.Tensor3D): tf.Tensor3D {
  const identity = tf.eye(matrices.shape[1]);
  const bound = tf.maximum(tf.max(tf.sum(tf.abs(matrices), 2, true), 1, true), 1e-12);
  const ridged = tf.add(matrices, tf.mul(tf.mul(bound, RIDGE), identity));
  const z = tf.div(2.5, tf.mul(bound, 1 + RIDGE)); // (1 + 4) / 2: no eigenvalue of M is beyond what converges
  let m: tf.Tensor = tf.mul(ridged, z);
  let h: tf.Tensor = tf.mul(tf.sqrt(tf.sqrt(z)), identity);
  for (let i = 0; i < ITERATIONS; i++) {
    const factor = tf.sub(tf.mul(identity, 1.25), tf.div(m, 4));
    const squared = tf.matMul(factor, factor);
    m = symmetric(tf.matMul(tf.matMul(squared, squared), m));
    h = symmetric(tf.matMul(h, factor));
  }
  return h as tf.Tensor3D;
}

/** Rounding makes the product of commuting symmetric matrices a little unsymmetric, and that grows. */
function symmetric(x: tf.Tensor): tf.Tensor {
  return tf.div(tf.add(x, tf.transpose(x, [0, 2, 1])), 2);
}

/** Which kept tensors are inverse fourth roots of which others, and after how many steps they are taken anew. */
export interface Roots {
  everySteps: number;
  /** Slot of the root → slot of the matrices [N,B,B]. */
  of: Record<string, string>;
}

/**
 * Takes the roots of a training step's state anew when they are due. They have graphs of their own, one a size, since
 * a captured step has no branches and would take them each time.
 *
 * @param shapes of the step's states
 * @returns a function to call after each step, with its number
 */
export function rootsBetweenSteps(
  update: Captured,
  shapes: Record<string, readonly number[]>,
  { everySteps, of }: Roots,
): (step: number) => void {
  const graphs = new Map<string, Captured>();
  const graphOf = (shape: readonly number[]): Captured => {
    const key = shape.join();
    const known = graphs.get(key);
    if (known) return known;
    const graph = captureStep({
      inputs: { matrices: { shape, dtype: "float32" } },
      fn: ({ matrices }) => ({ outputs: { root: inverseFourthRoot(matrices as tf.Tensor3D) } }),
    });
    graphs.set(key, graph);
    return graph;
  };
  const pairs = Object.entries(shapes).flatMap(([name, shape]) => {
    const [slot, parameter] = [name.slice(0, name.indexOf("/")), name.slice(name.indexOf("/"))];
    return of[slot] === undefined ? [] : [{ shape, root: name, matrices: of[slot] + parameter }];
  });
  return (step) => {
    if (step % everySteps !== 0) return;
    for (const { shape, root, matrices } of pairs) {
      const { [matrices]: values } = update.readState([matrices]);
      const taken = graphOf(shape).run({ matrices: values! }).root as Float32Array;
      update.writeState({ [root]: taken });
    }
  };
}
