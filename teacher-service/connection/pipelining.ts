import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Clients as a rule wait for an answer before they ask again on the same connection. */
const MOST_DUE = 32;

const due = new WeakMap<Socket, number>();

/**
 * Counts a request among those of its connection that are not answered yet, and tells whether they are too many. One
 * packet may hold thousands of small requests, whose answers would all be in memory before a client reads the first.
 */
export function tooManyDue({ socket }: IncomingMessage, response: ServerResponse): boolean {
  const count = (due.get(socket) ?? 0) + 1;
  due.set(socket, count);
  response.once("close", () => due.set(socket, due.get(socket)! - 1));
  return count > MOST_DUE;
}
