import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { isMap, parseDocument, stringify } from "yaml";
import type { TrainConfig } from "../config.ts";
import { listCheckpoints } from "./checkpoint.ts";
import { settleAsBefore } from "./length.ts";
import { takeLock } from "./lock.ts";
import { settleCode } from "./module-code.ts";

/**
 * Keys that may change between two sittings of one run: no number that is learned depends on them, or, as with the
 * data and the teacher, on what they name rather than on the name, and the checkpoint holds a digest of that.
 */
const FREE = new Set([
  "run",
  "data",
  "teachers",
  "contract",
  "evaluate",
  "checkpoint",
  "log",
  "inFlight",
  "workers",
]);

export interface RunFolder {
  path: string;
  checkpoints: string;
  /** Whether the run that is there goes on to another length than its config has. */
  changesLength: boolean;
  file(name: string): string;
  /** Lets another process use the folder. */
  release(): Promise<void>;
}

/**
 * Takes the run's folder for this process. The config as resolved is written if the run is new; that of a run that has
 * begun stays as it is until the run is known to go on with this one: `writeConfig`.
 *
 * @param o.changeLength lets the run go on to another length than it has
 * @throws UserError when another process is training there, or when a run with another config is there
 */
export async function openRunFolder(
  config: TrainConfig,
  o: { changeLength?: boolean } = {},
): Promise<RunFolder> {
  const path = config.run;
  const checkpoints = join(path, "checkpoints");
  await mkdir(checkpoints, { recursive: true });
  const lock = join(path, "lock");
  await takeLock(lock);
  const release = () => rm(lock, { force: true });
  const folder = {
    path,
    checkpoints,
    changesLength: false,
    file: (name: string) => join(path, name),
    release,
  };
  try {
    // Nothing depends on the config of a run without a checkpoint: it may have ended for what was wrong in it.
    const begun = (await listCheckpoints(checkpoints)).length > 0;
    if (begun) folder.changesLength = await checkSameConfig(folder.file("config.yaml"), config, o);
    else await settleCode(config);
    config.threads ??= availableParallelism();
    if (!begun) await writeConfig(folder, config);
    return folder;
  } catch (error) {
    await release();
    throw error;
  }
}

/** Whether the length is another; that any other binding key is an error. */
async function checkSameConfig(
  path: string,
  config: TrainConfig,
  { changeLength }: { changeLength?: boolean },
): Promise<boolean> {
  const { changed, before } = await changedKeys(path, config);
  if (changed.join() === "length") {
    if (changeLength) return true;
    const [then, now] = [before.length, config.length].map((length) => JSON.stringify(length));
    throw new UserError(
      `${path} is of a run with another length (${then}, now ${now}): ` +
        "change it back, or go on to the new length with --change-length",
    );
  }
  if (changed.length > 0)
    throw new UserError(
      `${path} is of a run with other ${changed.join(", ")}: change it back to go on, or choose another run`,
    );
  return false;
}

/**
 * Keys in which a config differs from that of a run that has begun, of those that bind it. What the config leaves open
 * and the run had settled is settled as before.
 *
 * @param configFile of the run
 * @throws UserError when it cannot be read, or when the code of a user's own network is another
 */
export async function changedKeys(
  configFile: string,
  config: TrainConfig,
): Promise<{ changed: string[]; before: Record<string, unknown> }> {
  const before = await readMapping(configFile);
  await settleCode(config, (before.student as { sha256?: string } | undefined)?.sha256);
  config.chunk ??= before.chunk as number | undefined;
  config.threads ??= before.threads as number | undefined;
  settleAsBefore(config.length, before.length as TrainConfig["length"]);
  const teachers = (before.teachers ?? []) as TrainConfig["teachers"];
  for (const [i, teacher] of config.teachers.entries()) teacher.chunk ??= teachers[i]?.chunk;
  if (config.compute === "auto") config.compute = before.compute as TrainConfig["compute"];
  const [then, now] = [boundBy(before), boundBy(withoutSecrets(config))];
  const keys = new Set([...Object.keys(then), ...Object.keys(now)]);
  const changed = [...keys].filter((key) => JSON.stringify(then[key]) !== JSON.stringify(now[key]));
  return { changed, before };
}

/** Every key of a config that what is learned depends on, ordered by name. */
export function bindingConfig(config: TrainConfig): Record<string, unknown> {
  const bound = boundBy(withoutSecrets(config));
  return Object.fromEntries(
    Object.keys(bound)
      .sort()
      .map((key) => [key, bound[key]]),
  );
}

/** The same of the config that a run's folder holds. */
export async function bindingConfigOf(configFile: string): Promise<Record<string, unknown>> {
  return boundBy(await readMapping(configFile));
}

/** What must not change; of the evaluation its view, since it is also the one that a fixed teacher was asked for. */
function boundBy(config: Record<string, unknown>): Record<string, unknown> {
  const { resize } = config.evaluate as TrainConfig["evaluate"];
  const bound = Object.entries(config).filter(([key]) => !FREE.has(key));
  const teachers = config.teachers as TrainConfig["teachers"] | undefined;
  return {
    ...Object.fromEntries(bound),
    student: { ...(config.student as object), file: undefined }, // of a module its digest binds, wherever it lies
    "evaluate.resize": resize,
    "teachers.resolution": teachers?.map(({ resolution }) => resolution),
    "teachers.chunk": ifAny(teachers?.map(({ chunk }) => chunk)),
    "teachers.oip": ifAny(teachers?.map((teacher) => ("oip" in teacher ? teacher.oip : undefined))),
  };
}

function ifAny<T>(values: (T | undefined)[] | undefined): (T | undefined)[] | undefined {
  return values?.some((value) => value !== undefined) ? values : undefined;
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
  const teachers = config.teachers.map((teacher) => {
    if ("file" in teacher || teacher.key?.startsWith("env:")) return teacher;
    const { key: _, ...others } = teacher;
    return others;
  });
  return JSON.parse(JSON.stringify({ ...config, teachers })) as TrainConfig;
}

/** Writes the config as resolved, whole or not at all; again when something in it was settled (the chunk size). */
export async function writeConfig(folder: RunFolder, config: TrainConfig): Promise<void> {
  const path = folder.file("config.yaml");
  await writeFile(`${path}.tmp`, stringify(withoutSecrets(config)));
  await rename(`${path}.tmp`, path);
}
