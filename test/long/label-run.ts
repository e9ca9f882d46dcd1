import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { startFunmatch, writeRunConfig } from "../e2e/services.ts";

/** A small run from labels, which needs no teacher. */
export const LABEL_RUN = {
  run: "run",
  data: { train: { fashion: "validation" } },
  design: "labels",
  student: { model: "bit", blocks: [1], width: 0.5, resolution: 16 },
  batch: 8,
  length: { steps: 6 },
  optimizer: { learningRate: 1e-3 },
  checkpoint: { everySteps: 2 },
  log: { everySteps: 1 },
  workers: 1,
  threads: 1,
};

/** Runs `funmatch train` on it in `folder`; answers how it ended. */
export function trainFromLabels(folder: string, more: object = {}, args: string[] = []) {
  const path = writeRunConfig(folder, { ...LABEL_RUN, ...more });
  return startFunmatch(["train", path, ...args]).finished;
}

export function lines(folder: string, name: string): Record<string, unknown>[] {
  const text = readFileSync(join(folder, "run", name), "utf8").trim();
  return text.split("\n").map((line) => JSON.parse(line));
}

export function stateAt(folder: string, step: number): Buffer {
  const checkpoint = `step-${String(step).padStart(9, "0")}`;
  return readFileSync(join(folder, "run", "checkpoints", checkpoint, "state.npz"));
}

export function configOf(folder: string): { length: { time?: string; steps?: number } } {
  return parse(readFileSync(join(folder, "run", "config.yaml"), "utf8"));
}
