import { type FileHandle, open } from "node:fs/promises";

/**
 * An append-only file of JSON lines that a checkpoint can point into: after a crash it is cut back to where
 * the checkpoint stood, so that no line is lost or written twice.
 */
export interface Journal {
  write(line: object): void;
  /** Makes every line so far reach the file and answers its length in bytes. */
  flush(): Promise<number>;
  close(): Promise<void>;
}

/** Opens `path`, keeping its first `keepBytes` bytes and nothing after them. */
export async function openJournal(path: string, keepBytes: number): Promise<Journal> {
  const file: FileHandle = await open(path, "a+");
  await file.truncate(keepBytes);
  let pending: string[] = [];
  let bytes = keepBytes;
  let writing = Promise.resolve();

  const flush = async (): Promise<number> => {
    writing = writing.then(async () => {
      const text = pending.join("");
      pending = [];
      await file.appendFile(text);
      bytes += Buffer.byteLength(text);
    });
    await writing;
    return bytes;
  };

  return {
    write(line) {
      pending.push(`${JSON.stringify(line)}\n`);
      if (pending.length >= 256) void flush();
    },
    flush,
    async close() {
      await flush();
      await file.close();
    },
  };
}
