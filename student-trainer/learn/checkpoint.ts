import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { UserError } from "@funmatch/config";
import { z } from "zod";
import { METRICS } from "../evaluation-config.ts";

const hex = z.string().regex(/^[0-9a-f]{64}$/);

const checkpointSchema = z.strictObject({
  step: z.int().min(0),
  /** SHA-256 of state.npz: parameters and what the optimizer keeps of them. */
  stateSha256: hex,
  parametersSha256: z.string(),
  /** Where the data order stands: the next step takes the examples after these. */
  order: z.strictObject({ seed: z.int(), batch: z.int(), examplesSeen: z.int() }),
  /** The last step whose evaluations are in the metrics: an interrupted evaluation is made up for. */
  evaluatedStep: z.int().min(0),
  /** Steps of the whole run, once they are settled; a run whose config says otherwise had its length changed. */
  totalSteps: z.int().positive().optional(),
  /** The best evaluation so far, where one is looked for; its checkpoint is kept as `best`. */
  best: z
    .strictObject({ step: z.int(), split: z.string(), metric: z.enum(METRICS), value: z.number() })
    .optional(),
  dataDigest: z.string(),
  /** Of each teacher, in the order of the config. */
  teacherVersions: z.array(z.string()).optional(),
  metricsBytes: z.int().min(0),
  /** The newest event file for TensorBoard, and its length. */
  tensorboard: z.strictObject({ file: z.string(), bytes: z.int().min(0) }).optional(),
  ledgerBytes: z.int().min(0),
  ledgerChain: hex,
  verifiedSteps: z.int().min(0),
  trainingSeconds: z.number(),
  waitingSeconds: z.number(),
  cacheHits: z.int().min(0),
  cacheMisses: z.int().min(0),
  /** Numbers of the corrupt images met so far, by split. */
  corrupt: z.record(z.string(), z.array(z.int().min(0))).optional(),
});

/** All that a run needs, beside state.npz, to go on as if it had never stopped. */
export type Checkpoint = z.output<typeof checkpointSchema>;

/** A checkpoint that is whole, and where its state.npz is. */
export interface Found {
  checkpoint: Checkpoint;
  stateFile: string;
}

/** Name of the folder of a step's checkpoint. */
export const checkpointFolder = (step: number) => `step-${String(step).padStart(9, "0")}`;
const stepOf = (folder: string) => Number(folder.slice("step-".length));
/** The files of a checkpoint. */
export const FILES = ["state.npz", "checkpoint.json"];
const FOLDER = /^step-\d{9}$/;
/** Checkpoints, and drafts that a killed process left behind. */
const OURS = /^step-\d{9}(\.draft)?$/;

/**
 * Writes a checkpoint so that it is there whole or not at all: into a folder beside it, synced, then renamed.
 *
 * @param saveState writes state.npz to the path it is given and answers the digests
 * @param kept which others stay: the newest `keep`, and all of steps that `keepEvery` divides
 */
export async function writeCheckpoint(
  directory: string,
  content: Omit<Checkpoint, "stateSha256" | "parametersSha256">,
  saveState: (path: string) => Promise<{ sha256: string; parametersSha256: string }>,
  kept: Kept,
): Promise<void> {
  const final = join(directory, checkpointFolder(content.step));
  const draft = `${final}.draft`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  const { sha256, parametersSha256 } = await saveState(join(draft, "state.npz"));
  const checkpoint: Checkpoint = { ...content, stateSha256: sha256, parametersSha256 };
  await writeFile(join(draft, "checkpoint.json"), `${JSON.stringify(checkpoint, null, 2)}\n`);
  for (const file of FILES) await syncFile(join(draft, file));
  await rm(final, { recursive: true, force: true });
  await rename(draft, final);
  await prune(directory, checkpointFolder(content.step), kept);
}

/** Which checkpoints stay when a new one is written. */
export interface Kept {
  keep: number;
  keepEvery?: number;
}

/** Leaves those to be kept, up to this one. Later ones were damaged, or the run would not have gone back behind them. */
async function prune(directory: string, newest: string, { keep, keepEvery }: Kept): Promise<void> {
  const upToHere = (await listCheckpoints(directory)).filter((name) => name <= newest);
  const milestones = upToHere.filter((name) => keepEvery && stepOf(name) % keepEvery === 0);
  const kept = new Set([...upToHere.slice(-keep), ...milestones]);
  for (const name of await readdir(directory))
    if (OURS.test(name) && !kept.has(name)) await rm(join(directory, name), { recursive: true, force: true });
}

/**
 * Finds the newest checkpoint that is whole. A damaged one is passed over, with a word to `onDamaged`.
 *
 * @throws UserError when there are checkpoints but none of them is whole
 */
export async function readNewestCheckpoint(
  directory: string,
  onDamaged: (message: string) => void,
): Promise<Found | undefined> {
  const names = await listCheckpoints(directory);
  for (const name of names.reverse()) {
    const found = await readWhole(join(directory, name));
    if (typeof found !== "string") return found;
    onDamaged(`checkpoint ${name} ${found}: using an older one`);
  }
  if (names.length > 0)
    throw new UserError(`no checkpoint in ${directory} is whole: move it away to start the run anew`);
  return undefined;
}

/** The checkpoint in a folder, or what is wrong with it. */
export async function readWhole(folder: string): Promise<Found | string> {
  const stateFile = join(folder, "state.npz");
  try {
    const text = await readFile(join(folder, "checkpoint.json"), "utf8");
    const checkpoint = checkpointSchema.parse(JSON.parse(text));
    if ((await sha256OfFile(stateFile)) === checkpoint.stateSha256) return { checkpoint, stateFile };
    return "is damaged (state.npz has another SHA-256)";
  } catch (error) {
    return `cannot be read (${(error as Error).message})`;
  }
}

/** Names of the checkpoints in a folder, the newest last; drafts that were never finished are none. */
export async function listCheckpoints(directory: string): Promise<string[]> {
  await mkdir(directory, { recursive: true });
  return (await readdir(directory)).filter((name) => FOLDER.test(name)).sort();
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, "r+");
  await file.sync();
  await file.close();
}

/** SHA-256 of a file, streamed, in hex. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
