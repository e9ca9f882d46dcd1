import { createHash } from "node:crypto";
import { teacherVersionOf } from "@funmatch/models";
import type { EnsembleConfig } from "../config/model-config.ts";
import { type Combination, combined } from "../forward/output-rule.ts";
import { type Facts, ModelFileError, type Network } from "./network.ts";

/**
 * Several networks as one: each computes the same images, one after the other, and their answers are averaged.
 *
 * @param members loaded, by name
 * @throws ModelFileError when they do not have the same classes, or no batch size in common
 */
export function openEnsemble(
  { combine }: Pick<EnsembleConfig, "combine">,
  members: ReadonlyMap<string, Network>,
): Network {
  const networks = [...members.values()];
  return {
    facts: factsOf(members, combine),
    async compute(pass) {
      const answers: Float32Array[] = [];
      for (const network of networks) answers.push(await network.compute(pass));
      return combined(answers, networks[0]!.facts.classes, combine);
    },
  };
}

function factsOf(members: ReadonlyMap<string, Network>, combine: Combination): Facts {
  const all = [...members].map(([name, { facts }]) => ({ name, ...facts }));
  const [first] = all as [(typeof all)[number]];
  const other = all.find(({ classes }) => classes !== first.classes);
  if (other)
    throw new ModelFileError(
      `the members ${first.name} and ${other.name} have ${first.classes} and ${other.classes} classes`,
    );
  const versions = all.map(({ name, version }) => [name, version]).sort();
  const sizes = all.flatMap(({ batchSizes }) => (batchSizes ? [batchSizes] : []));
  const common = sizes[0]?.filter((size) => sizes.every((each) => each.includes(size)));
  if (common?.length === 0) throw new ModelFileError("its members take no batch size in common");
  return {
    version: teacherVersionOf(
      "members",
      createHash("sha256").update(JSON.stringify(versions)).digest("hex"),
      { preprocessing: {}, output: { kind: "ensemble", combine }, compute: "float32" },
    ),
    classes: first.classes,
    parameters: all.reduce((sum, { parameters }) => sum + parameters, 0),
    runtime: {
      ...Object.assign({}, ...all.map(({ runtime }) => runtime)),
      architecture: all.map(({ name, runtime }) => `${name}: ${runtime.architecture}`).join("; "),
      combine,
      versionOf: "members",
    },
    ...(common && { batchSizes: common }),
  };
}
