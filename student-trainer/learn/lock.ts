import { readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "@funmatch/config";

/**
 * Takes a folder for this process by a file with its number. A file left behind by a process that was killed does
 * not count.
 *
 * @throws UserError when a process that lives has it
 */
export async function takeLock(path: string): Promise<void> {
  for (;;) {
    try {
      return await writeFile(path, String(process.pid), { flag: "wx" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = await ownerOf(path);
    if (owner === undefined) continue; // released just now
    if (owner !== process.pid && isAlive(owner))
      throw new UserError(
        `process ${owner} is using this run: wait for it, or choose another run. If it is no trainer, delete ${path}`,
      );
    await removeOf(owner, path);
  }
}

/** The number in the file, if there is one. An empty file has just been made, unless it stays empty: 0. */
async function ownerOf(path: string): Promise<number | undefined> {
  const read = () => readFile(path, "utf8").catch(() => undefined);
  const text = await read();
  if (text !== "") return text === undefined ? undefined : Number(text);
  await sleep(100);
  const later = await read();
  return later === undefined ? undefined : Number(later);
}

/** Removes a dead owner's file under a lock of its own: what another process has meanwhile taken must stay. */
async function removeOf(owner: number, path: string): Promise<void> {
  const taking = `${path}.taking`;
  await takeLock(taking);
  if ((await ownerOf(path)) === owner) await rm(path);
  await rm(taking);
}

function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
