import { type EngineWorker, spawnEngineWorker } from "@funmatch/engine";
import { bitBlocks, type NetworkConfig, vitVariant } from "@funmatch/models";
import type { TrainConfig } from "../config.ts";
import type { Teaching } from "./step.ts";
import type { StudentApi, StudentInit } from "./student-worker.ts";
import { budgetThreads } from "./thread-budget.ts";

export type Student = EngineWorker<StudentApi>;

/** The network that a config asks for. */
export function studentModel({ student }: TrainConfig, classes: number): NetworkConfig {
  switch (student.model) {
    case "bit": {
      const { depth, blocks, width } = student;
      return { kind: "bit", blocks: blocks ?? bitBlocks(depth!), width, classes };
    }
    case "mobilenetv3": {
      const { size, width, momentum } = student;
      return { kind: "mobilenetv3", size, width, momentum, classes };
    }
    case "vit": {
      const { size, patch, positions, pool, resolution } = student;
      const image: [number, number] = [resolution, resolution];
      return { kind: "vit", ...vitVariant(size), patch, positions, pool, image, classes };
    }
  }
}

/** Starts the student in a thread of its own, from random weights, a file, or a checkpoint's state. */
export async function startStudent(
  config: TrainConfig,
  o: { classes: number; teaching: Teaching; stateFile?: string },
): Promise<Student> {
  const init: StudentInit = {
    model: studentModel(config, o.classes),
    resolution: config.student.resolution,
    batch: config.batch,
    accumulate: config.accumulate,
    evaluationBatch: config.evaluate.batch,
    teaching: o.teaching,
    several:
      config.teachers.length > 1
        ? { teachers: config.teachers.length, combine: config.combine ?? "sum" }
        : undefined,
    distance: config.distance,
    optimizer: config.optimizer,
    seed: config.seed,
    initFile: config.student.init,
    stateFile: o.stateFile,
  };
  budgetThreads(config);
  return spawnEngineWorker<StudentApi>(new URL("./student-worker.ts", import.meta.url), init);
}
