import { EngineError } from "./engine-error.ts";
import { DT, dtypeName, nativeBackend } from "./native.ts";
import { runHandles } from "./session.ts";

/** A graph that was made elsewhere, in a session of its own. */
export interface OpenedGraph {
  /** Feeds the input, gives the output with its shape; the output must be float32. */
  run(values: Float32Array | Uint8Array, shape: readonly number[]): { values: Float32Array; shape: number[] };
  dispose(): void;
}

/**
 * Loads a SavedModel from its directory. What is in it is a program: its operations run with this process's rights, so
 * look through it first.
 *
 * @param tags of the meta graph, as in the file
 * @param input tensor to feed, such as `serving_default_images:0`
 * @param output tensor to fetch, such as `StatefulPartitionedCall:0`
 * @throws EngineError when TensorFlow does not take it
 */
export function openSavedModel(
  directory: string,
  { tags, input, output }: { tags: readonly string[]; input: string; output: string },
): OpenedGraph {
  const native = nativeBackend().binding;
  let session: number;
  try {
    session = native.loadSavedModel(directory, tags.join());
  } catch (error) {
    throw new EngineError((error as Error).message.trim().replaceAll(/\s+/g, " "));
  }
  return {
    run(values, shape) {
      const dtype = values instanceof Uint8Array ? DT.uint8 : DT.float;
      const [result] = runHandles(native, session, input, [{ shape: [...shape], dtype, values }], output);
      if (result!.dtype !== DT.float)
        throw new EngineError(`${output} is ${dtypeName(result!.dtype)}, expected float32`);
      return { values: result!.values as Float32Array, shape: result!.shape };
    },
    dispose: () => native.deleteSavedModel(session),
  };
}
