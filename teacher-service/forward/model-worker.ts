import { type Probe, probe } from "@funmatch/models";
import type { ImageDtype } from "@funmatch/wire";
import type { ModelConfig } from "../config/model-config.ts";
import type { Facts } from "../formats/network.ts";
import { openNetwork } from "../formats/open.ts";
import { openPhases } from "../life/phases.ts";
import { pictureOf } from "../life/picture.ts";
import type { Pass } from "../queue/batch.ts";

/** What a model's thread is started with. */
export interface ModelInit {
  readonly model: ModelConfig;
  /** Threads inside one operation. */
  readonly threads: number;
  /** Memory of the {@link Phases} that whoever waits for the load looks at. */
  readonly phases?: SharedArrayBuffer;
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

/** Entry of the model's thread: loads the network and answers {@link ModelApi}. */
export async function start({ model, threads, phases: memory }: ModelInit): Promise<ModelApi> {
  const phases = openPhases(memory);
  phases.enter("weights");
  const network = await openNetwork(model, threads, phases.enter);
  phases.enter("probe");
  const { classes } = network.facts;
  const { resolution } = pictureOf(model);
  return {
    facts: () => network.facts,
    probe({ size }) {
      return probe({ size, resolution, classes }, INPUTS, async (input, data) => {
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
