import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

/**
 * Reads what a process answers on its standard output, a line an answer.
 *
 * @returns waits for the next one; throws with what the process said last on its standard error when it ends instead
 */
export function answersOf(child: ChildProcess, name: string): () => Promise<string> {
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  let said = "";
  child.stderr?.on("data", (text) => {
    said = (said + text).slice(-4000);
  });
  return async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${name} ended before it answered:\n${said}`);
    return value;
  };
}
