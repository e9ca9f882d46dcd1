import type { Card } from "@funmatch/wire";
import type { ModelConfig } from "../config/model-config.ts";
import type { Loaded } from "./loading.ts";
import { pictureOf } from "./picture.ts";

export const CHANNELS = 3;

/** Where a model is in its life, as its card tells it. */
export interface Standing {
  readonly at: Card["state"];
  /** 0..1 while it is loading. */
  readonly progress?: number;
  readonly phase?: string;
}

/**
 * What a model tells of itself.
 *
 * @param last as it was loaded last; its version and classes stay on the card when it is unloaded, since the same
 * files give them again
 * @param batchSizes those of the config, told until it is known which are admitted
 */
export function cardOf(
  id: string,
  config: ModelConfig,
  { at, progress, phase }: Standing,
  last: Pick<Loaded, "facts" | "sizes" | "bitStable"> | undefined,
  batchSizes: readonly number[],
): Card {
  const facts = last?.facts;
  const sizes = last ? last.sizes.map((size) => size.images) : batchSizes;
  return {
    id,
    version: facts?.version ?? "",
    classes: facts?.classes ?? 0,
    ...(facts && config.labels ? { labels: config.labels } : {}),
    input: { ...pictureOf(config), channels: CHANNELS, dtypes: ["uint8", "float32"] },
    maxBatch: Math.max(...sizes),
    state: at,
    ...(progress !== undefined && { progress: Number(progress.toPrecision(3)) }),
    ...(phase !== undefined && { phase }),
    bitStable: last?.bitStable ?? false,
    parameters: facts?.parameters ?? 0,
    runtime: { ...facts?.runtime, ...(facts ? { batchSizes: sizes.join(" ") } : {}) },
  };
}
