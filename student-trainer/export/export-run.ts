import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { centralViewGraph, loadEngine, writeGraphModel, writeSavedModel } from "@funmatch/engine";
import { writeWeights } from "@funmatch/models";
import { uncroppedSide } from "@funmatch/views";
import { stringify } from "yaml";
import { readRunConfig, type TrainConfig } from "../config.ts";
import { openSource } from "../data/source.ts";
import { studentModel } from "../learn/student.ts";
import { openNetwork } from "../learn/student-network.ts";
import { readCards } from "../report/card.ts";
import { readExported } from "./exported-checkpoint.ts";
import { studentGraph } from "./student-graph.ts";

/** What was written, for the terminal. */
export interface Exported {
  step: number;
  /** Each with what it is. */
  files: [path: string, what: string][];
}

/**
 * Writes a run's student so that others can use it: weights, a SavedModel, a tfjs graph model, and what a teacher
 * service needs to serve it. The run may be going on.
 *
 * @param run the run's folder
 * @param o.checkpoint another than the newest
 * @throws UserError when there is no run with such a checkpoint
 */
export async function exportRun(
  run: string,
  o: { out: string; checkpoint?: "best" | number; say: (line: string) => void },
): Promise<Exported> {
  const config = readRunConfig(run);
  const { step, parametersSha256, weights } = await readExported(run, o.checkpoint, o.say);
  const [card] = await readCards(run);
  const classes = card?.classes ?? (await openSource(config.data.train)).labels.length;
  const model = studentModel(config, classes);
  const network = await openNetwork(model);
  const { resolution } = config.student;
  await mkdir(o.out, { recursive: true });
  const place = (file: string) => join(o.out, file);

  await writeWeights(place("student.npz"), weights);
  await loadEngine();
  const graph = studentGraph({ network: network.apply, weights, resolution });
  const side = config.evaluate.resize ?? uncroppedSide(resolution);
  writeSavedModel(place("saved_model"), {
    serving_default: graph,
    central_view: centralViewGraph({ resolution, side }),
  });
  writeGraphModel(place("tfjs"), graph);
  const labels = card?.labels;
  const files: Exported["files"] = [
    [place("student.npz"), "weights by name"],
    [place("saved_model"), "SavedModel: uint8 images → logits, probabilities"],
    [place("tfjs"), "tfjs graph model, the same with int32 images"],
  ];
  if (model.kind !== "module") {
    await writeFile(place("teacher.yaml"), teacherYaml(resolution, labels));
    files.push([place("teacher.yaml"), "for funmatch-teacher serve"]);
  }
  await writeFile(place("export.json"), described({ config, side, step, classes, labels, parametersSha256 }));
  files.push([place("export.json"), "what was exported, and the view it expects"]);
  return { step, files };
}

/** A student becomes a teacher. */
function teacherYaml(resolution: number, labels: string[] | undefined): string {
  const student = { format: "npz", path: "student.npz", resolution, valueRange: [-1, 1], labels };
  return stringify({ models: { student } });
}

function described(o: {
  config: TrainConfig;
  side: number;
  step: number;
  classes: number;
  labels: string[] | undefined;
  parametersSha256: string;
}): string {
  const { config, side, ...rest } = o;
  const { student } = config;
  const view = {
    resolution: student.resolution,
    resizeShorterSideTo: side,
    resizeBy: "area averages, truncated to bytes; then the central crop",
    channelOrder: "rgb",
    pixels: "0..255; the graphs scale them to -1..1 themselves, student.npz expects it done",
  };
  return `${JSON.stringify({ ...rest, student, view }, null, 2)}\n`;
}
