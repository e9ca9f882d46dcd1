import type * as tf from "@tensorflow/tfjs-core";
import { declaredState } from "./capture.ts";
import { CaptureError } from "./capture-error.ts";
import { graphOf, inputRef, node } from "./captured-graph.ts";
import { sizeOf } from "./graph.ts";
import { DT, nativeBackend } from "./native.ts";
import { openBatch, type Sized } from "./open-batch.ts";
import { loadGraph } from "./saved-model.ts";
import { capturedSession, runSession } from "./session.ts";
import { type Declared, traceTwice } from "./trace.ts";

/** A captured forward pass over one copy of its parameters. */
export interface Forward {
  /** Any number of images, as bytes or as numbers; gives the function's result for them, row-major. */
  run(images: Float32Array | Uint8Array): Float32Array;
  /** Frees the graph and its parameters. */
  dispose(): void;
}

/** Two different numbers of images: what differs between them is what depends on the number. */
const TRACED = [2, 3] as const;

/**
 * Makes one native graph of a network's forward pass, for any number of images: unlike `captureStep`'s its batch
 * dimension is open, so that all batch sizes share the parameters.
 *
 * @param o `image`: the shape of one image
 *   `fn`: from images [N, …image] in float32, and parameters, to one float32 result [N, …]; called four times,
 *   with tensors that have no values, and refused where it does more with the number of images than shape tensors
 * @throws CaptureError as `captureStep` does
 */
export function captureAnyBatch({
  image,
  parameters: initialParameters,
  fn,
}: {
  image: readonly number[];
  parameters: Record<string, { shape: readonly number[]; values: Float32Array }>;
  fn: (images: tf.Tensor, parameters: Record<string, tf.Tensor>) => tf.Tensor;
}): Forward {
  const backend = nativeBackend();
  const native = backend.binding;
  const { state, initial } = declaredState(initialParameters);
  const images = (batch: number): Declared => ({
    images: { ref: inputRef(0), shape: [batch, ...image], dtype: DT.float, fed: DT.uint8 },
  });
  const step = (inputs: Record<string, tf.Tensor>, parameters: Record<string, tf.Tensor>) => ({
    outputs: { result: fn(inputs.images!, parameters) },
  });
  const [small, large] = TRACED.map(
    (batch): Sized => ({ batch, trace: traceTwice(backend, step, images(batch), state) }),
  ) as [Sized, Sized];
  const { trace, nodes } = openBatch(small, large);
  requireRows(small);
  const anyNumber = images(-1);
  const graph = graphOf(native, trace, anyNumber, state, ["result"]);
  const session = loadGraph(native, [...graph, ...nodes]);
  const captured = capturedSession(native, session, {}, state, ["result"]);
  try {
    captured.writeState(initial);
  } catch (error) {
    captured.dispose();
    throw error;
  }
  let disposed = false;
  return {
    run(values) {
      if (disposed) throw new CaptureError("the captured function was disposed");
      const batch = values.length / sizeOf(image);
      if (!Number.isInteger(batch) || batch === 0)
        throw new CaptureError(
          `${values.length} elements are no whole number of images [${image.join(", ")}]`,
        );
      const bytes = values instanceof Uint8Array;
      const feed = { shape: [batch, ...image], dtype: bytes ? DT.uint8 : DT.float, values };
      // Numbers take the place of what the graph would make of bytes.
      const place = bytes ? node.input(0) : inputRef(0);
      const [result] = runSession(native, session, place, [feed], node.output(0));
      return result as Float32Array;
    },
    dispose() {
      disposed = true;
      captured.dispose();
    },
  };
}

function requireRows({ batch, trace }: Sized): void {
  const { shape, dtype } = trace.outputs.result!;
  if (dtype !== DT.float || shape[0] !== batch)
    throw new CaptureError(
      `the result for ${batch} images has shape [${shape}]: a row for each image is needed`,
    );
}
