import { UserError } from "@funmatch/config";
import { Pool } from "undici";
import { exchange, type Reply, type Request } from "./exchange.ts";
import { type OnWait, type Patience, untilAnswered } from "./patience.ts";
import { takeTurns } from "./turns.ts";

/** How a teacher is reached. */
export interface ConnectionOptions {
  /** What it is called in messages. */
  url: string;
  origin: string;
  /** Bearer token. */
  key?: string;
  patience?: Patience;
  /** Requests at a time, at most. */
  requests?: number;
  onWait?: OnWait;
  signal?: AbortSignal;
}

/** Kept connections to one teacher; both kinds of request are repeated until answered, as far as patience goes. */
export interface Connection {
  onWait: OnWait;
  /** Reads what describes the teacher. */
  get(path: string): Promise<Reply>;
  /** Asks a question, in turn. */
  post(request: Omit<Request, "method">): Promise<Reply>;
  close(): Promise<void>;
}

const OPENING: Patience = { attempts: 5, firstDelayMs: 500 };
/** About two to four minutes: a service that is redeployed comes back within. */
const TRAINING: Patience = { attempts: 9, firstDelayMs: 500 };

/** @throws UserError for a key that cannot be one */
export function openConnection(o: ConnectionOptions): Connection {
  const onWait = nowAndThen(o.onWait ?? (() => {}));
  const headers = commonHeaders(o.url, o.key);
  const requests = o.requests ?? 64;
  // HTTP/1.1: a connection per request keeps one large upload from holding up another.
  const pool = new Pool(o.origin, { connections: requests, pipelining: 1, allowH2: false });
  const inTurn = takeTurns(requests);
  const send = (request: Request, patience: Patience) =>
    untilAnswered(o.url, () => exchange(pool, request), patience, onWait, request.signal);
  return {
    onWait,
    get: (path) =>
      send(
        {
          ...{ method: "GET", path, headers: { ...headers, accept: "application/json" } },
          ...{ deadlineMs: 30_000, maxAnswerBytes: 16 * 2 ** 20, signal: o.signal },
        },
        o.patience ?? OPENING,
      ),
    post: (request) =>
      inTurn(() =>
        send(
          { ...request, method: "POST", headers: { ...headers, ...request.headers } },
          o.patience ?? TRAINING,
        ),
      ),
    close: () => pool.destroy(),
  };
}

/** Requests in flight wait for the same reason, again and again: the same words are told every 10 s at most. */
function nowAndThen(tell: OnWait): OnWait {
  const toldAt = new Map<string, number>();
  return (why) => {
    const now = performance.now();
    if (now - (toldAt.get(why) ?? Number.NEGATIVE_INFINITY) < 10_000) return;
    for (const [words, at] of toldAt) if (now - at > 10_000) toldAt.delete(words);
    toldAt.set(why, now);
    tell(why);
  };
}

function commonHeaders(url: string, key?: string): Record<string, string> {
  const headers = { "user-agent": "funmatch" };
  if (key === undefined) return headers;
  if (!/^[\x21-\x7e]+$/.test(key))
    throw new UserError(`teacher ${url}: its key is empty or holds a blank or a character outside ASCII`);
  return { ...headers, authorization: `Bearer ${key}` };
}
