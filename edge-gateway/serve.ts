import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { toProblem, WireError } from "@funmatch/wire";
import { getRequestListener } from "@hono/node-server";
import { createApp } from "./app.ts";
import type { Platform } from "./platform.ts";

/** A gateway that listens. */
export interface Listening {
  url: string;
  /**
   * Takes no more calls, lets those that are being answered end for so long, and then ends them.
   *
   * @returns once every call has settled: what it writes is written, and the platform may be closed
   */
  close(patienceMs?: number): Promise<void>;
}

/**
 * Serves the gateway from this Node process.
 *
 * @param at port 0 takes a free one
 * @throws the system's error if the address cannot be had
 * @example
 * const { url, close } = await listen(nodePlatform(settings, "state"), { host: "127.0.0.1", port: 8600 });
 */
export async function listen(platform: Platform, at: { host: string; port: number }): Promise<Listening> {
  const app = createApp();
  const unsettled = new Set<Response | Promise<Response>>();
  const settling = async (answer: Response | Promise<Response>) => {
    unsettled.add(answer);
    try {
      return await answer;
    } finally {
      unsettled.delete(answer);
    }
  };
  // `Request` stays Node's own: what the gateway is handed is then what a Worker is handed.
  const listener = getRequestListener((request) => settling(app.fetch(request, platform)), {
    overrideGlobalObjects: false,
  });
  const server = createServer(
    {
      // A call's own deadline ends it, also while its body comes in.
      ...{ requestTimeout: 0, headersTimeout: 10_000, connectionsCheckingInterval: 2000 },
      // Longer than load balancers keep theirs: who closes first must be the one that sends.
      keepAliveTimeout: 65_000,
    },
    listener,
  );
  server.on("clientError", answerUnparsable);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(at.port, at.host, resolve);
  });
  const { address, family, port } = server.address() as AddressInfo;
  const url = `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  return {
    url,
    async close(patienceMs = 0) {
      await end(server, patienceMs);
      // A call learns only now that its client was cut off, and has yet to give back what it holds.
      await Promise.allSettled(unsettled);
    },
  };
}

function end(server: Server, patienceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), patienceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** Answers what is no HTTP request; there is no request object for it, so the answer is written by hand. */
function answerUnparsable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const detail = `this is no valid HTTP request (${error.code ?? error.message})`;
  const problem = toProblem(new WireError("malformed", detail));
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} Bad Request\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
