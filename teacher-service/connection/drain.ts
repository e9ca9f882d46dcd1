import type { Server } from "node:http";
import type { Socket } from "node:net";

/**
 * Watches the connections of a server that is about to listen, so that it can be ended. (Node's own
 * `closeIdleConnections` spares those on which nothing was asked yet, and one of them would delay the end.)
 *
 * @returns a function that takes no new connections and waits for the answers that are due, `seconds` at most; false
 * when some had to be cut off
 */
export function drainable(server: Server): (seconds: number) => Promise<boolean> {
  /** How many answers are due on each connection. */
  const due = new Map<Socket, number>();
  const count = (socket: Socket, change: 1 | -1) => {
    const before = due.get(socket);
    if (before !== undefined) due.set(socket, before + change);
  };
  server.on("connection", (socket: Socket) => {
    due.set(socket, 0);
    socket.once("close", () => due.delete(socket));
  });
  server.on("request", ({ socket }, response) => {
    count(socket, 1);
    response.once("close", () => count(socket, -1));
  });

  return (seconds) => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => {
      resolve(false);
      server.closeAllConnections();
    }, seconds * 1000);
    server.close(() => resolve(true));
    // Not at once: a request that has come is perhaps not parsed yet.
    const idle = setInterval(() => {
      for (const [socket, answers] of due) if (answers === 0) socket.destroy();
    }, 100);
    return promise.finally(() => {
      clearTimeout(timer);
      clearInterval(idle);
    });
  };
}
