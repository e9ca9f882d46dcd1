import {
  type ForeignConfig,
  type ModelConfig,
  membersOf,
  type NetworkConfig,
} from "../config/model-config.ts";

/** What a model's card tells of the images that it sees. */
export interface Picture {
  /** The largest of its members'. */
  resolution: number;
  /** What 0 and 255 become; over all channels and members where these are scaled in ways of their own. */
  valueRange: [number, number];
  /** Whether images of other sizes are taken. */
  resizes: boolean;
}

/** @example pictureOf(config).resolution */
export function pictureOf(model: ModelConfig): Picture {
  const members = membersOf(model);
  const ranges = members.map(rangeOf);
  return {
    resolution: Math.max(...members.map((each) => each.resolution)),
    valueRange: [Math.min(...ranges.map(([low]) => low)), Math.max(...ranges.map(([, high]) => high))],
    resizes: members.every((each) => each.resize !== "none"),
  };
}

function rangeOf(model: NetworkConfig): [number, number] {
  if (model.valueRange) return model.valueRange;
  const { mean, std } = model as ForeignConfig;
  const ends = (white: 0 | 1) => mean!.map((each, channel) => (white - each) / std![channel]!);
  return [Math.min(...ends(0)), Math.max(...ends(1))];
}
