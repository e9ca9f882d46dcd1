import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { UserError } from "@funmatch/config";

/** A line of a text file, without white space around it. */
export interface Line {
  text: string;
  /** For messages: which line of which file. */
  where: string;
}

/**
 * The lines of a text file. Empty ones and those that begin with # are passed over.
 *
 * @param what for messages: what the file is, such as "the list"
 * @throws UserError if it cannot be read
 */
export async function* linesOf(path: string, what: string): AsyncGenerator<Line> {
  let number = 0;
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  const rest = lines[Symbol.asyncIterator]();
  for (;;) {
    const { value, done } = await rest.next().catch((error: NodeJS.ErrnoException) => {
      throw new UserError(`${what} ${path} cannot be read (${error.code})`);
    });
    if (done) return;
    number++;
    const text = value.trim();
    if (text !== "" && !text.startsWith("#")) yield { text, where: `${path}, line ${number}` };
  }
}
