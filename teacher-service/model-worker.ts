import type { ImageDtype } from "@funmatch/wire";
import type { Pass } from "./batch.ts";
import type { Facts } from "./formats/network.ts";
import { openNetwork } from "./formats/open.ts";
import type { ModelConfig } from "./model-config.ts";
import { pictureOf } from "./picture.ts";
import { type Probe, sameBits } from "./stability.ts";

/** What a model's thread is started with. */
export interface ModelInit {
  readonly model: ModelConfig;
  /** Threads inside one operation. */
  readonly threads: number;
}

/** What a model's thread does: loading and computing block it, and nothing here blocks the sockets. */
export type ModelApi = {
  facts(payload: null): Facts;
  /** Computes the probe images with a batch size. */
  probe(payload: { size: number }): Promise<Probe>;
  /** [sum of the slices' counts, K] */
  compute(pass: Pass): Promise<Float32Array>;
};

const INPUTS = ["uint8", "float32"] as const satisfies readonly ImageDtype[];
const CHANNELS = 3;
const PROBE_IMAGES = 4;

/** Entry of the model's thread: loads the network and answers {@link ModelApi}. */
export async function start({ model, threads }: ModelInit): Promise<ModelApi> {
  const network = await openNetwork(model, threads);
  const { classes } = network.facts;
  const { resolution } = pictureOf(model);
  const probes = probeImages(resolution);
  return {
    facts: () => network.facts,
    probe({ size }) {
      return probe(size, classes, probes, async (input, data) => {
        const shape = [size, resolution, resolution, CHANNELS] as const;
        const images = { dtype: input, shape, data };
        return network.compute({ size, slices: [{ images, from: 0, count: size }] });
      });
    },
    async compute(pass) {
      const logits = await network.compute(pass);
      return logits.slice(0, pass.slices.reduce((sum, slice) => sum + slice.count, 0) * classes);
    },
  };
}

/** Computes each probe image at every position of a batch, as uint8 and as float32. */
async function probe(
  size: number,
  classes: number,
  images: readonly Uint8Array[],
  run: (input: ImageDtype, batch: Uint8Array) => Promise<Float32Array>,
): Promise<Probe> {
  const logits = new Float32Array(images.length * classes);
  const known = new Set<number>();
  let steady = true;
  let seconds = Number.POSITIVE_INFINITY;
  // Two rounds show each position two images; a size smaller than the number of images needs more to show all.
  for (let round = 0; round < Math.max(2, Math.ceil(images.length / size)); round++) {
    const shown = Array.from({ length: size }, (_, at) => (at + round) % images.length);
    const batch = new Uint8Array(Buffer.concat(shown.map((which) => images[which]!)));
    for (const input of round === 0 ? INPUTS : INPUTS.slice(0, 1)) {
      const started = performance.now();
      const data = input === "uint8" ? batch : new Uint8Array(Float32Array.from(batch).buffer);
      const found = await run(input, data);
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
function probeImages(resolution: number): Uint8Array[] {
  let state = 1;
  return Array.from({ length: PROBE_IMAGES }, () =>
    Uint8Array.from({ length: resolution * resolution * CHANNELS }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 24;
    }),
  );
}
