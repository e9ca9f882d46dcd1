import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/**
 * Sends a forked process an order and waits for its answer.
 *
 * @throws Error when it ends instead
 */
export async function askChild<Answer>(child: ChildProcess, order: object): Promise<Answer> {
  const ended = new AbortController();
  const death = once(child, "exit", { signal: ended.signal }).then(([status]) => {
    throw new Error(`a process of the benchmark ended with status ${status}`);
  });
  death.catch(() => {});
  try {
    child.send(order);
    const [answer] = await Promise.race([once(child, "message", { signal: ended.signal }), death]);
    return answer as Answer;
  } finally {
    ended.abort();
  }
}
