import { readFile, rename, rm, writeFile } from "node:fs/promises";
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
    if (owner !== process.pid && isAlive(owner))
      throw new UserError(
        `process ${owner} is using this run: wait for it, or choose another run. If it is no trainer, delete ${path}`,
      );
    await setAside(path, owner);
  }
}

/** The number in the file. An empty one has just been made, unless it stays empty. */
async function ownerOf(path: string): Promise<number> {
  const read = () => readFile(path, "utf8").catch(() => "");
  const text = await read();
  if (text !== "") return Number(text);
  await sleep(100);
  return Number(await read());
}

/** Of several processes that find the same dead owner one takes its file away; who took another's gives it back. */
async function setAside(path: string, owner: number): Promise<void> {
  const aside = `${path}.${process.pid}`;
  const moved = await rename(path, aside).then(
    () => true,
    () => false,
  );
  if (!moved) return;
  if (Number(await readFile(aside, "utf8")) === owner) await rm(aside);
  else await rename(aside, path);
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
