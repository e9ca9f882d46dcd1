import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  type Copy,
  DockerfileParser,
  type From,
  type Instruction,
  type JSONInstruction,
  type PropertyInstruction,
} from "dockerfile-ast";

export const CONTAINER_FILE = fileURLToPath(new URL("../../infra/container/Containerfile", import.meta.url));

/** What a builder does, in order. Variables of the shell stay as written: the shell is given them. */
export type Step =
  | { does: "run"; command: string }
  | { does: "copy"; from?: string; sources: string[]; to: string }
  | { does: "env"; variables: Record<string, string> }
  | { does: "workdir"; path: string };

export interface Stage {
  base: string;
  name?: string;
  steps: Step[];
  /** The stage's own ARGs, with their defaults. */
  args: Record<string, string>;
  user?: string;
  /** What the container runs: ENTRYPOINT and CMD. */
  program: string[];
}

/** Reads a container file into its stages; throws for an instruction that nobody here would carry out. */
export function stagesOf(text = readFileSync(CONTAINER_FILE, "utf8")): Stage[] {
  const stages: Stage[] = [];
  const global: Record<string, string> = {};
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    const stage = stages.at(-1);
    const keyword = instruction.getKeyword();
    if (keyword === "FROM") {
      const from = instruction as From;
      const base = (from.getImage() ?? "").replace(
        /\$\{(\w+)\}/g,
        (_all, name: string) => global[name] ?? "",
      );
      stages.push({ base, name: from.getBuildStage() ?? undefined, steps: [], args: {}, program: [] });
    } else if (keyword === "ARG") Object.assign(stage?.args ?? global, propertiesOf(instruction));
    else if (stage === undefined) throw new Error(`${keyword} before the first FROM`);
    else apply(stage, keyword, instruction);
  }
  return stages;
}

function apply(stage: Stage, keyword: string, instruction: Instruction): void {
  const words = instruction.getArguments().map((argument) => argument.getValue());
  switch (keyword) {
    case "RUN":
      stage.steps.push({ does: "run", command: instruction.getArgumentsContent() ?? "" });
      break;
    case "COPY": {
      const from = (instruction as Copy).getFromFlag()?.getValue() ?? undefined;
      stage.steps.push({ does: "copy", from, sources: words.slice(0, -1), to: words.at(-1) ?? "" });
      break;
    }
    case "ENV":
      stage.steps.push({ does: "env", variables: propertiesOf(instruction) });
      break;
    case "WORKDIR":
      stage.steps.push({ does: "workdir", path: words[0] ?? "" });
      break;
    case "USER":
      stage.user = words[0];
      break;
    case "ENTRYPOINT":
    case "CMD":
      stage.program.push(
        ...(instruction as JSONInstruction).getJSONStrings().map((s) => JSON.parse(s.getValue()) as string),
      );
      break;
    case "EXPOSE":
    case "HEALTHCHECK":
      break;
    default:
      throw new Error(`${keyword} is not carried out here`);
  }
}

function propertiesOf(instruction: Instruction): Record<string, string> {
  const properties = (instruction as PropertyInstruction).getProperties();
  return Object.fromEntries(properties.map((p) => [p.getName(), p.getValue() ?? ""]));
}
