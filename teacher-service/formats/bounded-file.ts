import { readFile, stat } from "node:fs/promises";
import { ModelFileError } from "./network.ts";

/**
 * Reads a file whole, if it is no longer than it may be: its size is looked at before anything is allocated.
 *
 * @param o.tooLong what the error says of a longer one
 * @param o.missing what it says where there is none
 * @throws ModelFileError
 */
export async function readBoundedFile(
  path: string,
  mostBytes: number,
  o: { tooLong: (bytes: number) => string; missing?: string },
): Promise<Buffer> {
  try {
    const { size } = await stat(path);
    if (size > mostBytes) throw new ModelFileError(o.tooLong(size));
    return await readFile(path);
  } catch (error) {
    if (error instanceof ModelFileError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const missing = code === "ENOENT" || code === "ENOTDIR";
    throw new ModelFileError(
      missing ? (o.missing ?? `there is no file ${path}`) : `cannot read ${path}: ${code}`,
    );
  }
}
