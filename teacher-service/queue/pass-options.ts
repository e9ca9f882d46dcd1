import type { TeacherConfig } from "../config/config.ts";
import type { ModelConfig } from "../config/model-config.ts";
import { teamRules } from "../config/team-rules.ts";
import type { Batching } from "./batch.ts";

/** How requests to one model become passes. */
export interface PassOptions {
  /** Sizes to try; those that stay are bit-equal. */
  readonly batchSizes: readonly number[];
  readonly batching: Omit<Batching, "sizes">;
  readonly weightOf: (team: string) => number;
}

/** What a model's own config says of it, and the service's for the rest. */
export function passOptions(config: TeacherConfig, model: ModelConfig): PassOptions {
  const rules = teamRules(config.teams);
  const own = model.batching;
  return {
    batchSizes: own?.sizes ?? config.batchSizes,
    batching: {
      maxDelaySeconds: (own?.maxDelayMs ?? config.batching.maxDelayMs) / 1000,
      sharedThroughput: own?.sharedThroughput ?? config.batching.sharedThroughput,
    },
    weightOf: (team) => rules(team).weight,
  };
}
