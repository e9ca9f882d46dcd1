import { existsSync } from "node:fs";
import { copyFile, link, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@funmatch/config";
import { checkpointFolder, FILES, type Found, listCheckpoints, readWhole } from "./checkpoint.ts";

const BEST = "best";

/**
 * Reads one checkpoint: the best that was kept, or that of a step.
 *
 * @throws UserError when it is not there, or damaged
 */
export async function readCheckpoint(directory: string, which: "best" | number): Promise<Found> {
  const name = which === "best" ? BEST : checkpointFolder(which);
  if (!existsSync(join(directory, name))) {
    const best = existsSync(join(directory, BEST)) ? [BEST] : [];
    const there = [...best, ...(await listCheckpoints(directory))].join(", ");
    throw new UserError(`there is no checkpoint ${name} in ${directory}: it has ${there || "none"}`);
  }
  const found = await readWhole(join(directory, name));
  if (typeof found === "string") throw new UserError(`checkpoint ${name} in ${directory} ${found}`);
  return found;
}

/**
 * Keeps the checkpoint of a step as `best`, in place of the one before, however many newer ones are written: by links
 * to its files, which are never changed. The run's newest checkpoint knows of it, so after a crash in between the
 * same is done again.
 */
export async function keepBest(directory: string, step: number): Promise<void> {
  const draft = join(directory, `${BEST}.draft`);
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft);
  for (const file of FILES)
    await link(join(directory, checkpointFolder(step), file), join(draft, file)).catch((error) => {
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(error.code)) throw error;
      return copyFile(join(directory, checkpointFolder(step), file), join(draft, file));
    });
  await rm(join(directory, BEST), { recursive: true, force: true });
  await rename(draft, join(directory, BEST));
}
