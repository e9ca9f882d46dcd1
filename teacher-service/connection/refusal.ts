import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Of a refused body at most this much is still read, so that a client that is sending can see the answer. */
const DRAIN_BYTES = 2 ** 20;
const DRAIN_MS = 1000;
/** How long a client that is still sending may take to read the answer before its connection is reset. */
const LINGER_MS = 1000;

/**
 * Sends an answer that came before the body was read. What remains of a short body is read and the connection
 * lives on; of a longer one at most 1 MiB is read, then our half of the connection is closed, and a little later all
 * of it.
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
  if (!incoming.complete) await lingered(incoming.socket);
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

/** Tells the client that nothing more will come, and waits until it has gone or had time to read what came. */
function lingered(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, LINGER_MS);
  socket.once("close", resolve).end();
  if (socket.destroyed) resolve();
  return promise.finally(() => {
    clearTimeout(timer);
    socket.off("close", resolve);
  });
}

/** Whether a request has a body that has not arrived completely. */
export function hasUnreadBody(incoming: IncomingMessage): boolean {
  const announces =
    incoming.headers["transfer-encoding"] !== undefined ||
    Number(incoming.headers["content-length"] ?? 0) > 0;
  return announces && !(incoming.complete && incoming.readableEnded);
}
