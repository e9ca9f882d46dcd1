import { constants } from "node:fs";
import { access, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { TrainConfig } from "../config.ts";
import { bytesOfBatch } from "../data/layers.ts";
import { poolOptions } from "../learn/open-run.ts";
import { ruleOf } from "../learn/optimizer.ts";
import { studentModel } from "../learn/student.ts";
import { openNetwork } from "../learn/student-network.ts";
import { diskUse } from "../plan/disk.ts";
import { bytes } from "../report/words.ts";
import { LEAST } from "../teach/window-size.ts";
import { type Finding, fault, warning, well } from "./finding.ts";

/** Whether what the run writes fits the disk, and what it holds the memory. */
export async function checkSpace(config: TrainConfig, classes: number, steps: number): Promise<Finding[]> {
  const state = await stateBytes(config, classes);
  return [await checkDisk(config, state, steps), checkMemory(config, state)];
}

/** Bytes of parameters and of what the optimizer keeps of them, which a checkpoint holds. */
export async function stateBytes(config: TrainConfig, classes: number): Promise<number> {
  const network = await openNetwork(studentModel(config, classes));
  const shapes = Object.values(network.init(zeros)).map(({ shape }) => shape);
  const { slots } = ruleOf(config.optimizer);
  const size = (shape: number[]) => shape.reduce((product, side) => product * side, 1);
  const kept = (shape: number[]) =>
    Object.values(slots(shape)).reduce((sum, slot) => sum + size(slot.shape), 0);
  return 4 * shapes.reduce((sum, shape) => sum + size(shape) + kept(shape), 0);
}

function zeros(_name: string, count: number): Float32Array {
  return new Float32Array(count);
}

/** Bytes that a step adds to the ledger, asked in one request. */
const LEDGER_LINE = 800;

async function checkDisk(config: TrainConfig, state: number, steps: number): Promise<Finding> {
  const folder = await existing(config.run);
  const needed = diskUse(config, { steps, state, ledgerLine: LEDGER_LINE });
  const said =
    `about ${bytes(needed.bytes)} for ${needed.checkpoints} checkpoints of ${bytes(state)} ` +
    `and ${bytes(needed.lines)} of ledger and metrics`;
  const writable = await access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!writable)
    return fault("disk", `${folder} cannot be written to`, "choose another run, or give it rights");
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (needed.bytes < 0.9 * free) return well("disk", `${said}; ${bytes(free)} are free`);
  return fault(
    "disk",
    `${said}, but ${bytes(free)} are free`,
    "free some, or lower checkpoint.keep or raise keepEvery",
  );
}

/** The folder itself, or the nearest one above it that is there. */
async function existing(folder: string): Promise<string> {
  const there = await access(folder).then(
    () => true,
    () => false,
  );
  return there || dirname(folder) === folder ? folder : existing(dirname(folder));
}

/** The engine and Node without a run. */
const EMPTY_BYTES = 400e6;

function checkMemory(config: TrainConfig, state: number): Finding {
  const batches = ((config.inFlight ?? LEAST) + 1) * bytesOfBatch(poolOptions(config));
  // Beside the state its gradients and, while a checkpoint is written, a copy.
  const least = EMPTY_BYTES + 3 * state + batches;
  const free = process.availableMemory();
  const said = `at least ${bytes(least)}, activations not counted; ${bytes(free)} are free`;
  if (least < 0.9 * free) return well("memory", said);
  return warning("memory", said, "lower student.width or inFlight; accumulate lowers activations");
}
