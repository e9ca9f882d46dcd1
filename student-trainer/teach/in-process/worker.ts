import { type Captured, captureStep, loadEngine } from "@funmatch/engine";
import {
  inferenceOf,
  loadNetwork,
  parameterCount,
  probe,
  teacherVersion,
  trainedOf,
  valueRange,
  type Weights,
} from "@funmatch/models";
import type * as tf from "@tensorflow/tfjs-core";
import { digestOf } from "../../data/layers.ts";

/** What the thread of a teacher in this process is started with. */
export interface TeacherInit {
  path: string;
  resolution: number;
  valueRange: [number, number];
  /** Images of the one batch size that is captured. */
  batch: number;
}

/** What its weight file says, and what a probe found. */
export interface TeacherFacts {
  version: string;
  classes: number;
  parameters: number;
  bitStable: boolean;
  runtime: Record<string, string | number | boolean>;
}

/** What the thread answers. */
export interface InProcessApi {
  facts(request: null): Promise<TeacherFacts>;
  /**
   * `count` images uint8 [count, R, R, 3], at most a batch → logits [count, K] and "sha256:<hex>" of the images.
   * With another value range a graph of its own is captured, and kept until the next answer without one.
   */
  answer(request: { images: Uint8Array; count: number; valueRange?: [number, number] }): {
    logits: Float32Array;
    digest: string;
  };
}

const CHANNELS = 3;

/** Runs in an engine worker: loads the weights and captures the forward pass once. */
export async function start(init: TeacherInit): Promise<InProcessApi> {
  const { path: _, ...engine } = await loadEngine();
  const loaded = await loadNetwork(init.path, init.resolution);
  const { config, weights } = loaded;
  const network = inferenceOf(loaded);
  const image = [init.resolution, init.resolution, CHANNELS];
  const imageBytes = init.resolution ** 2 * CHANNELS;
  const capture = (range: [number, number]) =>
    captureStep({
      inputs: { images: { shape: [init.batch, ...image], dtype: "uint8" } },
      state: network.parameters,
      fn: ({ images }, parameters) => {
        const x = valueRange(images as tf.Tensor4D, range);
        return { outputs: { logits: network.logits(parameters, x) } };
      },
    });
  const graph = capture(init.valueRange);
  let other: { range: string; graph: Captured } | undefined;
  /** The graph of another value range; without one, the one that was there is let go. */
  const graphOf = (range?: [number, number]): Captured => {
    if (range && other?.range === String(range)) return other.graph;
    other?.graph.dispose();
    other = range && { range: String(range), graph: capture(range) };
    return other?.graph ?? graph;
  };
  const forward = (images: Uint8Array, range?: [number, number]) =>
    graphOf(range).run({ images }).logits as Float32Array;

  const isBitStable = async (): Promise<boolean> => {
    const { batch: size, resolution } = init;
    const pass = { size, resolution, classes: config.classes };
    return (await probe(pass, ["uint8"], (_, images) => forward(images))).steady;
  };

  return {
    facts: async () => ({
      version: versionOf(weights, init),
      classes: config.classes,
      parameters: parameterCount(trainedOf(weights)),
      bitStable: await isBitStable(),
      runtime: { ...engine, compute: "float32", architecture: config.kind, place: "in this process" },
    }),
    answer({ images, count, valueRange: range }) {
      const digest = digestOf(images);
      if (images.length !== count * imageBytes || count > init.batch)
        throw new RangeError(`${images.length} bytes are not ${count} images of ${imageBytes}`);
      const whole = count === init.batch ? images : new Uint8Array(init.batch * imageBytes);
      if (whole !== images) whole.set(images);
      return { logits: forward(whole, range).slice(0, count * config.classes), digest };
    },
  };
}

/** What a teacher service that serves the same file, and resizes as it does unless told otherwise, tells of it. */
function versionOf(weights: Weights, { resolution, valueRange }: TeacherInit): string {
  return teacherVersion(weights, {
    preprocessing: { resolution, valueRange, resize: "bilinear" },
    output: { kind: "logits" },
    compute: "float32",
  });
}
