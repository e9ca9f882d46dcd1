import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { isMap, parseDocument, stringify } from "yaml";
import type { TrainConfig } from "../config.ts";
import { listCheckpoints } from "./checkpoint.ts";
import { takeLock } from "./lock.ts";

/** Keys that may change between two sittings of one run, because no number of it depends on them. */
const FREE = new Set(["run", "teachers", "evaluate", "checkpoint", "log", "inFlight", "workers"]);

export interface RunFolder {
  path: string;
  checkpoints: string;
  file(name: string): string;
  /** Lets another process use the folder. */
  release(): Promise<void>;
}

/**
 * Takes the run's folder for this process and writes the config as resolved.
 *
 * @throws UserError when another process is training there, or when a run with another config is there
 */
export async function openRunFolder(config: TrainConfig): Promise<RunFolder> {
  const path = config.run;
  const checkpoints = join(path, "checkpoints");
  await mkdir(checkpoints, { recursive: true });
  const lock = join(path, "lock");
  await takeLock(lock);
  const release = () => rm(lock, { force: true });
  const folder = { path, checkpoints, file: (name: string) => join(path, name), release };
  try {
    // Nothing depends on the config of a run without a checkpoint: it may have ended for what was wrong in it.
    if ((await listCheckpoints(checkpoints)).length > 0) await checkSameConfig(folder, config);
    await writeConfig(folder, config);
    return folder;
  } catch (error) {
    await release();
    throw error;
  }
}

async function checkSameConfig(folder: RunFolder, config: TrainConfig): Promise<void> {
  const path = folder.file("config.yaml");
  const before = await readMapping(path);
  if (config.chunk === undefined) config.chunk = before.chunk as number | undefined;
  const now: Record<string, unknown> = withoutSecrets(config);
  const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
  const changed = [...keys].filter(
    (key) => !FREE.has(key) && JSON.stringify(before[key]) !== JSON.stringify(now[key]),
  );
  if (changed.length > 0)
    throw new UserError(
      `${path} is of a run with other ${changed.join(", ")}: change it back to go on, or choose another run`,
    );
}

async function readMapping(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, "utf8").catch(() => "");
  const document = parseDocument(text);
  if (document.errors.length > 0 || !isMap(document.contents))
    throw new UserError(`${path} cannot be read: put it back to go on, or choose another run`);
  return document.toJS() as Record<string, unknown>;
}

/** Keys given as text rather than `env:NAME` are not written down. */
function withoutSecrets(config: TrainConfig): TrainConfig {
  const teachers = config.teachers.map(({ key, ...teacher }) =>
    key?.startsWith("env:") ? { ...teacher, key } : teacher,
  );
  return JSON.parse(JSON.stringify({ ...config, teachers })) as TrainConfig;
}

/** Writes the config as resolved, whole or not at all; again when something in it was settled (the chunk size). */
export async function writeConfig(folder: RunFolder, config: TrainConfig): Promise<void> {
  const path = folder.file("config.yaml");
  await writeFile(`${path}.tmp`, stringify(withoutSecrets(config)));
  await rename(`${path}.tmp`, path);
}
