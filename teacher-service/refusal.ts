import type { IncomingMessage, ServerResponse } from "node:http";

/** Of a refused body at most this much is still read, so that a client that is sending can see the answer. */
const DRAIN_BYTES = 2 ** 20;
const DRAIN_MS = 1000;

/**
 * Sends an answer that came before the body was read. What remains of a short body is read and the connection
 * lives on; of a longer one at most 1 MiB is read, then the connection is closed.
 *
 * Closing at once would be simpler, but unread bytes make the kernel reset the connection, and the reset can
 * overtake the answer.
 */
export async function refuse(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  answer: Response,
): Promise<void> {
  const announced = Number(incoming.headers["content-length"] ?? Number.POSITIVE_INFINITY);
  const close = !(announced <= DRAIN_BYTES);
  const body = new Uint8Array(await answer.arrayBuffer());
  outgoing.writeHead(answer.status, {
    ...Object.fromEntries(answer.headers),
    "content-length": body.length,
    ...(close ? { connection: "close" } : {}),
  });
  outgoing.write(body);
  await drained(incoming);
  outgoing.end();
  if (!incoming.complete) outgoing.once("finish", () => incoming.socket.destroySoon());
}

function drained(incoming: IncomingMessage): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let bytes = 0;
  const onData = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes >= DRAIN_BYTES) resolve();
  };
  const timer = setTimeout(resolve, DRAIN_MS);
  if (incoming.readableEnded || incoming.destroyed) resolve();
  incoming.on("data", onData).on("end", resolve).on("close", resolve).on("error", resolve).resume();
  return promise.finally(() => {
    clearTimeout(timer);
    incoming.off("data", onData).off("end", resolve).off("close", resolve);
    incoming.pause();
  });
}

/** Whether a request has a body that has not arrived completely. */
export function hasUnreadBody(incoming: IncomingMessage): boolean {
  const announces =
    incoming.headers["transfer-encoding"] !== undefined ||
    Number(incoming.headers["content-length"] ?? 0) > 0;
  return announces && !(incoming.complete && incoming.readableEnded);
}
