import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { bitConfigOf, loadBitWeights, loadNetworkWeights, type Weights } from "@funmatch/models";
import { readNewestCheckpoint } from "./checkpoint.ts";
import type { StudentModel } from "./student-network.ts";

const isHead = (name: string) => name.startsWith("head/");

/**
 * The parameters for a student to begin from. Where their head has another shape, because its classes are others, the
 * head stays fresh.
 *
 * @param path an .npz file, a checkpoint's folder, or a run, whose newest whole checkpoint is taken
 * @throws ArrayFileError, UserError when there are none or they are another network's
 */
export async function givenWeights(model: StudentModel, fresh: Weights, path: string): Promise<Weights> {
  const given = await loaded(model, fresh, await weightsFile(path));
  const heads = Object.keys(fresh).filter(isHead);
  const fits = heads.every((name) => given[name]!.shape.join() === fresh[name]!.shape.join());
  return fits ? given : { ...given, ...Object.fromEntries(heads.map((name) => [name, fresh[name]!])) };
}

async function weightsFile(path: string): Promise<string> {
  if (!existsSync(path) || !statSync(path).isDirectory()) return path;
  const state = join(path, "state.npz");
  if (existsSync(state)) return state;
  const checkpoints = join(path, "checkpoints");
  if (!existsSync(checkpoints))
    throw new UserError(`student.init: ${path} is no run, no checkpoint and no .npz file`);
  const say = (line: string) => process.stderr.write(`student.init: ${line}\n`);
  const found = await readNewestCheckpoint(checkpoints, say);
  if (!found) throw new UserError(`student.init: ${path} has no checkpoint yet`);
  return found.stateFile;
}

async function loaded(model: StudentModel, fresh: Weights, path: string): Promise<Weights> {
  const shapes = Object.fromEntries(Object.entries(fresh).map(([name, { shape }]) => [name, shape]));
  if (model.kind !== "bit") return loadNetworkWeights(path, shapes);
  const given = await loadBitWeights(path);
  const describe = (c: { blocks: number[]; width: number }) =>
    `blocks [${c.blocks.join(", ")}], width ${c.width}`;
  const has = bitConfigOf(given);
  if (describe(has) !== describe(model))
    throw new UserError(`${path} holds ${describe(has)}, but the student has ${describe(model)}`);
  return given;
}
