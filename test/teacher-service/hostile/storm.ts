import { once } from "node:events";
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { connect } from "node:net";
import { CODES, type ProblemCode } from "@funmatch/wire";
import { AUDIENCE, MAX_BODY, MAX_IMAGES, type Mutant, mutant, SECRET, TOKEN } from "./mutants.ts";

/** The config that a service under a storm needs beside its model. */
export const STORMED = `tokens: ["${TOKEN}"]
identity: { secret: "${SECRET}", audience: "${AUDIENCE}" }
limits: { maxBodyBytes: ${MAX_BODY}, maxImages: ${MAX_IMAGES}, queueBytes: ${20 * MAX_BODY} }
logLevel: warn
`;

export interface StormResult {
  sent: number;
  /** Of which began as a good body does. */
  validPrefix: number;
  /** Answers by status, and by the problem's code (/v1; "ok" for 200). */
  byStatus: Record<number, number>;
  byCode: Record<string, number>;
  /** What must not happen: a 5xx, another code than the fault's, an answer in no known form. */
  wrong: string[];
}

interface Heard {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Sends `count` mutants, several at a time, and holds every answer against what was wrong with its request. */
export async function storm(
  url: string,
  o: { count: number; seed: number; protocols: readonly ("v1" | "v2")[]; tell?: (done: number) => void },
): Promise<StormResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const result: StormResult = { sent: 0, validPrefix: 0, byStatus: {}, byCode: {}, wrong: [] };
  const one = async (): Promise<void> => {
    while (result.sent < o.count) {
      const nth = result.sent++;
      const sent = await mutant(o.seed, nth, o.protocols);
      if (sent.validPrefix) result.validPrefix++;
      count(result, sent, nth, await answerTo(url, sent, agent));
      if (nth % 1000 === 0) o.tell?.(nth);
    }
  };
  await Promise.all(Array.from({ length: 16 }, one));
  agent.destroy();
  return result;
}

function count(result: StormResult, sent: Mutant, nth: number, heard: Heard): void {
  const { status, headers, body } = heard;
  const code = codeOf(heard, sent.path);
  result.byStatus[status] = (result.byStatus[status] ?? 0) + 1;
  result.byCode[code] = (result.byCode[code] ?? 0) + 1;
  const blame = (what: string) =>
    result.wrong.push(`mutant ${nth} (${sent.kind}): ${what}: ${status} ${body.toString("utf8", 0, 300)}`);
  if (status >= 500) blame("a failure of the service's own");
  else if (code === "?") blame("an answer in no known form");
  else if (sent.path.startsWith("/v1") && sent.code !== undefined && sent.code !== code)
    blame(`expected ${sent.code}`);
  else if (sent.code !== undefined && status !== CODES[sent.code as ProblemCode])
    blame(`expected the status of ${sent.code}`);
  if (headers["x-request-id"] === undefined) blame("no x-request-id");
}

/** "ok", the problem's code, or what the Open Inference Protocol says instead of one; "?" for anything else. */
function codeOf({ status, headers, body }: Heard, path: string): string {
  const type = headers["content-type"] ?? "";
  if (status === 200) return "ok";
  try {
    const told = JSON.parse(body.toString()) as { code?: unknown; status?: unknown; error?: unknown };
    if (path.startsWith("/v2")) return typeof told.error === "string" ? `v2 ${status}` : "?";
    const right = type.startsWith("application/problem+json") && told.status === status;
    return right && typeof told.code === "string" ? told.code : "?";
  } catch {
    return "?";
  }
}

/** Asks again on a fresh connection where the service had just closed the one that was used. */
async function answerTo(url: string, sent: Mutant, agent: Agent): Promise<Heard> {
  try {
    return await send(url, sent, agent);
  } catch (error) {
    if (!/ECONNRESET|EPIPE|socket hang up/.test(String(error))) throw error;
    return await send(url, sent, false);
  }
}

async function send(url: string, { path, headers, body }: Mutant, agent: Agent | false): Promise<Heard> {
  const chunked = headers["transfer-encoding"] !== undefined;
  const all = chunked ? headers : { ...headers, "content-length": body.length };
  const asking = request(`${url}${path}`, { method: "POST", headers: all, agent });
  asking.end(body);
  const [answer] = (await once(asking, "response")) as [import("node:http").IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) };
}

/** A client whose headers announce another length than its body has; gives all that it hears. */
export async function liar(
  url: string,
  sent: Pick<Mutant, "path" | "headers" | "body">,
  announced: number,
): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true }).on("error", () => {});
  let heard = "";
  socket.on("data", (chunk) => {
    heard += chunk.toString("latin1");
  });
  const headers = { host: "teacher", ...sent.headers, "content-length": announced, connection: "close" };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`POST ${sent.path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  socket.end(sent.body); // half closed: it still listens
  await once(socket, "close");
  return heard;
}
