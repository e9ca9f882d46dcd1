import { type FileHandle, open } from "node:fs/promises";
import { UserError } from "@funmatch/config";

/**
 * A file that only grows and that a checkpoint can point into: after a crash it is cut back to where the checkpoint
 * stood, so that nothing is lost or written twice.
 */
export interface AppendedFile {
  write(part: string | Uint8Array): void;
  /**
   * Makes every part so far reach the disk and answers the file's length in bytes.
   *
   * @throws what went wrong with this or an earlier write: nothing is written after a gap
   */
  flush(): Promise<number>;
  close(): Promise<void>;
}

/** What is written reaches the disk after so many parts or milliseconds at the latest, for whoever watches the file. */
const [MOST_PENDING, MOST_MS] = [256, 5000];

/**
 * Opens `path`, keeping its first `keepBytes` bytes and nothing after them.
 *
 * @throws UserError when it does not have so many
 */
export async function openAppended(path: string, keepBytes: number): Promise<AppendedFile> {
  const file: FileHandle = await open(path, "a+");
  const { size } = await file.stat();
  if (size < keepBytes) {
    await file.close();
    throw new UserError(
      `${path} has ${size} bytes, but the checkpoint goes on after ${keepBytes}: put it back, or choose another run`,
    );
  }
  await file.truncate(keepBytes);
  let pending: Uint8Array[] = [];
  let bytes = keepBytes;
  let writing = Promise.resolve();
  let flushedAt = performance.now();

  const flush = async (): Promise<number> => {
    flushedAt = performance.now();
    writing = writing.then(async () => {
      const parts = Buffer.concat(pending);
      pending = [];
      await file.appendFile(parts);
      await file.datasync();
      bytes += parts.byteLength;
    });
    await writing;
    return bytes;
  };

  return {
    write(part) {
      pending.push(typeof part === "string" ? Buffer.from(part) : part);
      if (pending.length >= MOST_PENDING || performance.now() - flushedAt > MOST_MS) flush().catch(() => {}); // told by the next flush
    },
    flush,
    async close() {
      await flush().finally(() => file.close());
    },
  };
}
