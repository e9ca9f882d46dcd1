import { type AppendedFile, openAppended } from "./appended-file.ts";

/** An appended file of JSON lines. */
export interface Journal extends Pick<AppendedFile, "flush" | "close"> {
  write(line: object): void;
}

/**
 * Opens `path`, keeping its first `keepBytes` bytes and nothing after them.
 *
 * @throws UserError when it does not have so many
 */
export async function openJournal(path: string, keepBytes: number): Promise<Journal> {
  const { write, flush, close } = await openAppended(path, keepBytes);
  return { write: (line) => write(`${JSON.stringify(line)}\n`), flush, close };
}
