import { type Captured, captureStep, loadEngine } from "@funmatch/engine";
import {
  bit,
  bitConfigOf,
  loadBitWeights,
  parameterCount,
  teacherVersion,
  valueRange,
} from "@funmatch/models";
import type { ImageDtype } from "@funmatch/wire";
import type * as tf from "@tensorflow/tfjs-core";
import type { Pass } from "./batch.ts";
import { gather } from "./gather.ts";
import { type Probe, sameBits } from "./stability.ts";

/** What a model's thread is started with. */
export interface ModelInit {
  readonly path: string;
  readonly resolution: number;
  readonly valueRange: readonly [number, number];
  readonly resize: boolean;
}

/** What the weight file says. */
export interface Facts {
  readonly version: string;
  readonly classes: number;
  readonly parameters: number;
  readonly runtime: Record<string, string | number | boolean>;
}

/** What a model's thread does; it owns the engine, so nothing here blocks the sockets. */
export type ModelApi = {
  facts(payload: null): Facts;
  /** Captures a batch size and computes the probe images with it. */
  prepare(payload: { size: number }): Probe;
  /** Frees all captured sizes but these; each holds a copy of the weights. */
  keep(payload: { sizes: readonly number[] }): void;
  /** [sum of the slices' counts, K] */
  compute(pass: Pass): Float32Array;
};

const INPUTS = ["uint8", "float32"] as const satisfies readonly ImageDtype[];
const CHANNELS = 3;
const PROBE_IMAGES = 4;

/** Entry of the engine worker: reads the weights and answers {@link ModelApi}. */
export async function start(init: ModelInit): Promise<ModelApi> {
  const { path: _path, ...engine } = await loadEngine();
  const weights = await loadBitWeights(init.path);
  const config = bitConfigOf(weights);
  const network = bit(config);
  const captured = new Map<string, Captured>();
  const image = [init.resolution, init.resolution, CHANNELS] as const;
  const probes = probeImages(image);

  function capture(size: number, input: ImageDtype): Captured {
    return captureStep({
      inputs: { images: { shape: [size, ...image], dtype: input } },
      state: weights,
      fn: ({ images }, parameters) => ({
        outputs: { logits: network(parameters, valueRange(images as tf.Tensor4D, init.valueRange)).logits },
      }),
    });
  }

  function run(size: number, input: ImageDtype, images: Uint8Array | Float32Array): Float32Array {
    const graph = captured.get(`${input}/${size}`);
    if (!graph) throw new Error(`no batch size ${size} of ${input} was captured`);
    return graph.run({ images }).logits as Float32Array;
  }

  return {
    facts: () => ({
      version: teacherVersion(weights, {
        preprocessing: {
          resolution: init.resolution,
          valueRange: init.valueRange,
          resize: init.resize ? "bilinear" : "none",
        },
        output: { kind: "logits" },
        compute: "float32",
      }),
      classes: config.classes,
      parameters: parameterCount(weights),
      runtime: {
        ...engine,
        compute: "float32",
        architecture: `bit ${config.blocks.join("-")} x${config.width}`,
      },
    }),
    prepare({ size }) {
      for (const input of INPUTS) captured.set(`${input}/${size}`, capture(size, input));
      return probe(size, config.classes, probes, (input, images) => run(size, input, images));
    },
    keep({ sizes }) {
      for (const [name, graph] of captured) {
        if (sizes.some((size) => name.endsWith(`/${size}`))) continue;
        graph.dispose();
        captured.delete(name);
      }
    },
    compute: (pass) =>
      run(pass.size, pass.input, gather(pass, init.resolution)).slice(
        0,
        pass.slices.reduce((sum, slice) => sum + slice.count, 0) * config.classes,
      ),
  };
}

/** Computes each probe image at every position of a batch, as uint8 and as float32. */
function probe(
  size: number,
  classes: number,
  images: readonly Uint8Array[],
  run: (input: ImageDtype, batch: Uint8Array | Float32Array) => Float32Array,
): Probe {
  const logits = new Float32Array(images.length * classes);
  const known = new Set<number>();
  let steady = true;
  let seconds = Number.POSITIVE_INFINITY;
  // Two rounds show each position two images; a size smaller than the number of images needs more to show all.
  for (let round = 0; round < Math.max(2, Math.ceil(images.length / size)); round++) {
    const shown = Array.from({ length: size }, (_, at) => (at + round) % images.length);
    const batch = Buffer.concat(shown.map((which) => images[which]!));
    for (const input of round === 0 ? INPUTS : INPUTS.slice(0, 1)) {
      const started = performance.now();
      const found = run(input, input === "uint8" ? new Uint8Array(batch) : Float32Array.from(batch));
      seconds = Math.min(seconds, (performance.now() - started) / 1000);
      shown.forEach((which, at) => {
        const row = found.subarray(at * classes, (at + 1) * classes);
        const first = logits.subarray(which * classes, (which + 1) * classes);
        if (known.has(which)) steady &&= sameBits(row, first);
        else first.set(row);
        known.add(which);
      });
    }
  }
  return { images: size, seconds, logits, steady };
}

/** Images of noise, the same in every run: a linear congruential sequence, high bits. */
function probeImages([height, width, channels]: readonly [number, number, number]): Uint8Array[] {
  let state = 1;
  return Array.from({ length: PROBE_IMAGES }, () =>
    Uint8Array.from({ length: height * width * channels }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 24;
    }),
  );
}
