import type { TeacherRules } from "@funmatch/models";
import type { ForeignConfig } from "../config/model-config.ts";
import type { Preprocessing } from "../forward/preprocess.ts";

/** Whatever of a foreign network's config changes its answers: a part of its version. */
export function rulesOf(model: ForeignConfig, { layout }: Preprocessing, output: string): TeacherRules {
  const { resolution, resize, valueRange, mean, std, channelOrder, outputs } = model;
  return {
    preprocessing: { resolution, resize, valueRange, mean, std, channelOrder, layout },
    output: { kind: outputs, name: output },
    compute: "float32",
  };
}
