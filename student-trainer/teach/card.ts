import { setTimeout as sleep } from "node:timers/promises";
import { type Card, cardSchema, type Limits, limitsSchema } from "@funmatch/wire";
import { TeacherError } from "./errors.ts";
import type { Reply } from "./exchange.ts";
import type { OnWait } from "./patience.ts";

/**
 * The card of a teacher that is ready; waits while it loads.
 *
 * @throws TeacherError when it failed to load, or what came is no card
 */
export async function readCard(
  url: string,
  get: () => Promise<Reply>,
  onWait: OnWait,
  signal?: AbortSignal,
): Promise<Card> {
  for (;;) {
    const card = parsed(url, "card", cardSchema, await get());
    if (card.state === "ready") return card;
    if (card.state === "failed") throw new TeacherError("unavailable", `${url}: the teacher failed to load`);
    const share = card.progress === undefined ? "" : ` (${Math.round(card.progress * 100)} %)`;
    onWait(`${url}: the teacher is loading${share}`);
    await sleep(500, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

/** @throws TeacherError when what came are no limits */
export function readLimits(url: string, reply: Reply): Limits {
  return parsed(url, "limits", limitsSchema, reply);
}

interface Schema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: { message: string } };
}

function parsed<T>(url: string, what: string, schema: Schema<T>, reply: Reply): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(reply.bytes));
  } catch (error) {
    throw new TeacherError("malformed", `${url}: its ${what} is not JSON: is this a FunMatch teacher?`, {
      cause: error,
    });
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new TeacherError("malformed", `${url}: its ${what} cannot be used: ${result.error.message}`);
}
