import * as tf from "@tensorflow/tfjs-core";
import { CaptureError } from "./capture-error.ts";
import type { NativeBackend } from "./native.ts";
import type { Recorder } from "./recorder.ts";

/**
 * Puts the recorder in the place of the backend's binding. The returned function puts the binding back; called when
 * tfjs has disposed what the captured function made, it tells a recorded tensor that is still there, in words.
 */
export function standIn(backend: NativeBackend, recorder: Recorder): () => string | undefined {
  const native = backend.binding;
  const { createOutputTensor } = backend;
  const recorded: object[] = [];
  const restoreAssign = refuseAssignments();
  backend.binding = recorder.binding;
  backend.createOutputTensor = (handle) => {
    const tensor = createOutputTensor.call(backend, handle);
    recorded.push(tensor.dataId);
    return tensor;
  };
  // A refused asynchronous read never settles: its error is the recorder's refusal, not a rejection nobody handles.
  backend.read = (dataId) => {
    try {
      return Promise.resolve(backend.readSync(dataId));
    } catch {
      return new Promise(() => {});
    }
  };
  return () => {
    backend.binding = native;
    Reflect.deleteProperty(backend, "createOutputTensor");
    Reflect.deleteProperty(backend, "read");
    restoreAssign();
    const kept = recorded
      .filter((dataId) => backend.tensorMap.has(dataId))
      .map((dataId) => backend.tensorMap.get(dataId));
    const what = kept[0] && recorder.describe(kept[0].id);
    // A negative number is what tfjs-node gives tensors without a native handle: it lets them be disposed of.
    for (const info of kept) info.id = -1;
    return what;
  };
}

/** tfjs may be installed more than once in one process, each with a Variable class of its own. */
function refuseAssignments(): () => void {
  const variables = Object.values(tf.engine().state.registeredVariables);
  const prototypes = new Set([
    tf.Variable.prototype,
    ...variables.map((v) => Object.getPrototypeOf(v) as tf.Variable),
  ]);
  const originals = [...prototypes].map((prototype) => ({ prototype, assign: prototype.assign }));
  for (const prototype of prototypes) {
    prototype.assign = function refuseAssign(this: tf.Variable): void {
      throw new CaptureError(
        `variable ${this.name} was assigned to: pass it as state and return its new value`,
      );
    };
  }
  return () => {
    for (const { prototype, assign } of originals) prototype.assign = assign;
  };
}
