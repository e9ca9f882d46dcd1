import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { parse, stringify } from "yaml";
import type { TrainConfig } from "../config.ts";

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
  await mkdir(join(path, "checkpoints"), { recursive: true });
  const lock = join(path, "lock");
  await take(lock);
  try {
    await keepConfig(join(path, "config.yaml"), config);
  } catch (error) {
    await rm(lock, { force: true });
    throw error;
  }
  return {
    path,
    checkpoints: join(path, "checkpoints"),
    file: (name) => join(path, name),
    release: () => rm(lock, { force: true }),
  };
}

/** A file with the process's number; one left behind by a process that was killed does not count. */
async function take(lock: string): Promise<void> {
  for (;;) {
    try {
      return await writeFile(lock, String(process.pid), { flag: "wx" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = Number(await readFile(lock, "utf8").catch(() => "0"));
    if (owner > 0 && owner !== process.pid && isAlive(owner))
      throw new UserError(`process ${owner} is using this run (${lock}): wait for it, or choose another run`);
    await rm(lock, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function keepConfig(path: string, config: TrainConfig): Promise<void> {
  const earlier = await readFile(path, "utf8").catch(() => undefined);
  if (earlier !== undefined) {
    const before = parse(earlier) as Record<string, unknown>;
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
  await writeFile(path, stringify(withoutSecrets(config)));
}

/** Keys given as text rather than `env:NAME` are not written down. */
function withoutSecrets(config: TrainConfig): TrainConfig {
  const teachers = config.teachers.map(({ key, ...teacher }) =>
    key?.startsWith("env:") ? { ...teacher, key } : teacher,
  );
  return JSON.parse(JSON.stringify({ ...config, teachers })) as TrainConfig;
}

/** Writes the config anew after something in it was settled (such as the chunk size). */
export async function rewriteConfig(folder: RunFolder, config: TrainConfig): Promise<void> {
  await writeFile(folder.file("config.yaml"), stringify(withoutSecrets(config)));
}
