import { type FileHandle, open } from "node:fs/promises";
import { UserError } from "@funmatch/config";

/**
 * An append-only file of JSON lines that a checkpoint can point into: after a crash it is cut back to where
 * the checkpoint stood, so that no line is lost or written twice.
 */
export interface Journal {
  write(line: object): void;
  /**
   * Makes every line so far reach the disk and answers the file's length in bytes.
   *
   * @throws what went wrong with this or an earlier write: nothing is written after a gap
   */
  flush(): Promise<number>;
  close(): Promise<void>;
}

/**
 * Opens `path`, keeping its first `keepBytes` bytes and nothing after them.
 *
 * @throws UserError when it does not have so many
 */
export async function openJournal(path: string, keepBytes: number): Promise<Journal> {
  const file: FileHandle = await open(path, "a+");
  const { size } = await file.stat();
  if (size < keepBytes) {
    await file.close();
    throw new UserError(
      `${path} has ${size} bytes, but the checkpoint goes on after ${keepBytes}: put it back, or choose another run`,
    );
  }
  await file.truncate(keepBytes);
  let pending: string[] = [];
  let bytes = keepBytes;
  let writing = Promise.resolve();

  const flush = async (): Promise<number> => {
    writing = writing.then(async () => {
      const text = pending.join("");
      pending = [];
      await file.appendFile(text);
      await file.datasync();
      bytes += Buffer.byteLength(text);
    });
    await writing;
    return bytes;
  };

  return {
    write(line) {
      pending.push(`${JSON.stringify(line)}\n`);
      if (pending.length >= 256) flush().catch(() => {}); // told by the next flush
    },
    flush,
    async close() {
      await flush().finally(() => file.close());
    },
  };
}
