import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface Exchange {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** Something between trainer and teacher that can do as it likes with a call for logits. */
export interface MeddlingProxy {
  url: string;
  /** Calls for logits that have not been answered yet. */
  open(): number;
  close(): void;
}

/**
 * Starts a proxy in front of `target`.
 *
 * @param meddle gets the number of the call (from 1), its body, and the way to the teacher
 */
export async function startProxy(
  target: string,
  meddle: (call: number, body: Buffer, pass: (body: Buffer) => Promise<Exchange>) => Promise<Exchange>,
): Promise<MeddlingProxy> {
  let calls = 0;
  let open = 0;
  const server = createServer(async (request, response) => {
    const body = await wholeBody(request);
    if (!body) return; // its client was killed while it sent
    const pass = (sent: Buffer) => forward(target, request, sent);
    const isCall = request.method === "POST";
    if (isCall) open++;
    try {
      const answer = isCall ? await meddle(++calls, body, pass) : await pass(body);
      const { "transfer-encoding": _, ...headers } = answer.headers;
      response.writeHead(answer.status, { ...headers, "content-length": String(answer.body.length) });
      response.end(answer.body);
    } catch (error) {
      console.error(`the proxy's call failed: ${error instanceof Error ? (error.cause ?? error) : error}`);
      response.destroy();
    } finally {
      if (isCall) open--;
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    open: () => open,
    close: () => server.close(),
  };
}

/** The body of a request, or undefined where the connection ended within it. */
async function wholeBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  try {
    for await (const part of request) parts.push(part as Buffer);
  } catch {
    return undefined;
  }
  return Buffer.concat(parts);
}

async function forward(target: string, request: IncomingMessage, body: Buffer): Promise<Exchange> {
  const headers = { ...request.headers } as Record<string, string>;
  for (const name of ["host", "connection", "content-length"]) delete headers[name];
  const answer = await fetch(target + request.url, {
    method: request.method,
    headers,
    body: request.method === "POST" ? new Uint8Array(body) : undefined,
  });
  return {
    status: answer.status,
    headers: Object.fromEntries(answer.headers),
    body: Buffer.from(await answer.arrayBuffer()),
  };
}
