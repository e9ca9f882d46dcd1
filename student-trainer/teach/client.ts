import { UserError } from "@funmatch/config";
import {
  type Card,
  encodeRequestHead,
  HEADERS,
  type ImageDtype,
  type Limits,
  type Purpose,
} from "@funmatch/wire";
import { Pool } from "undici";
import { teacherAddress } from "./address.ts";
import { readCard, readLimits } from "./card.ts";
import { TeacherError } from "./errors.ts";
import { exchange } from "./exchange.ts";
import { type OnWait, type Patience, untilAnswered } from "./patience.ts";
import { takeTurns } from "./turns.ts";
import { verifiedLogits } from "./verify.ts";

/** Images as they are sent: `data` holds [N,H,W,C] row-major in pixel units 0..255. */
export interface SentViews {
  shape: readonly [number, number, number, number];
  data: Uint8Array;
  /** "sha256:<hex>" of `data`. */
  digest: string;
}

/** One question. A retry keeps the request id, so that usage counts it once. */
export interface Call {
  purpose: Purpose;
  requestId: string;
  signal?: AbortSignal;
  /** Asks the gateway to neither answer from its cache nor to keep the answer. */
  noStore?: boolean;
}

export interface Answer {
  /** [N,K] */
  logits: Float32Array;
  version: string;
  /** What the gateway's cache did; "none" without a gateway. */
  cache: "hit" | "miss" | "bypass" | "none";
  /** Seconds that the service says it computed and that it had the request in all, where it says so. */
  server?: { compute?: number; total?: number };
}

/** A teacher whose version is pinned: every answer that `ask` gives has passed every check. */
export interface Teacher {
  url: string;
  card: Card;
  limits: Limits;
  ask(views: SentViews, call: Call): Promise<Answer>;
  close(): Promise<void>;
}

export interface TeacherOptions {
  url: string;
  /** Bearer token. */
  key?: string;
  /** The version that a resumed run began with. */
  pinnedVersion?: string;
  /** For one request; the service's own limit, if that is less. */
  timeoutMs?: number;
  patience?: Patience;
  onWait?: OnWait;
  signal?: AbortSignal;
}

const OPENING: Patience = { attempts: 5, firstDelayMs: 500 };
/** About two to four minutes: a service that is redeployed comes back within. */
const TRAINING: Patience = { attempts: 9, firstDelayMs: 500 };
const CONCURRENT_REQUESTS = 64;
const dtype: ImageDtype = "uint8";

/**
 * Opens a teacher: reads its card and limits (waiting while it loads) and pins its version.
 *
 * @throws UserError for a URL or key that cannot be one
 * @throws TeacherError when it cannot be reached, refuses, or is another version than pinned
 * @example
 * const teacher = await openTeacher({ url: "http://localhost:8500/v1/models/prof", key });
 * const { logits } = await teacher.ask(views, { purpose: "train", requestId: "run-step-1" });
 */
export async function openTeacher(options: TeacherOptions): Promise<Teacher> {
  const address = teacherAddress(options.url);
  const { url, prefix, model } = address;
  const onWait = nowAndThen(options.onWait ?? (() => {}));
  const headers = commonHeaders(url, options.key);
  // HTTP/1.1: a connection per request keeps one large upload from holding up another.
  const pool = new Pool(address.origin, { connections: CONCURRENT_REQUESTS, pipelining: 1, allowH2: false });
  const inTurn = takeTurns(CONCURRENT_REQUESTS);

  const get = (path: string) =>
    untilAnswered(
      url,
      () =>
        exchange(pool, {
          method: "GET",
          path: `${prefix}${path}`,
          headers,
          deadlineMs: 30_000,
          maxAnswerBytes: 16 * 2 ** 20,
          signal: options.signal,
        }),
      options.patience ?? OPENING,
      onWait,
      options.signal,
    );

  try {
    const card = await readCard(url, () => get(`/v1/models/${model}`), onWait, options.signal);
    const limits = readLimits(url, await get("/v1/limits"));
    const version = pinned(url, card, options.pinnedVersion);
    const timeoutMs = Math.min(options.timeoutMs ?? Number.POSITIVE_INFINITY, limits.timeoutMs);

    const ask = (views: SentViews, call: Call): Promise<Answer> => {
      const head = encodeRequestHead({ ...views, purpose: call.purpose, dtype });
      const images = views.shape[0];
      const request = {
        method: "POST" as const,
        path: `${prefix}/v1/models/${model}/logits`,
        headers: {
          ...headers,
          "content-type": "application/vnd.msgpack",
          accept: "application/vnd.msgpack",
          [HEADERS.version]: version,
          [HEADERS.timeout]: String(timeoutMs),
          [HEADERS.requestId]: call.requestId,
          ...(call.noStore ? { "cache-control": "no-store" } : {}),
        },
        body: [head, views.data],
        deadlineMs: timeoutMs * 1.1 + 250, // the service's own 504 says more: let it come first
        maxAnswerBytes: images * card.classes * 4 + 64 * 1024,
        signal: call.signal,
      };
      return inTurn(async () => {
        const patience = options.patience ?? TRAINING;
        const reply = await untilAnswered(url, () => exchange(pool, request), patience, onWait, call.signal);
        const who = `${url}, request ${call.requestId}`;
        const expected = { who, digest: views.digest, version, images, classes: card.classes };
        const { headers: said } = reply;
        const server = serverTiming(said.get(HEADERS.serverTiming));
        return { logits: verifiedLogits(reply, expected), version, cache: cacheSaid(said), server };
      });
    };
    return { url, card, limits, ask, close: () => pool.destroy() };
  } catch (error) {
    await pool.destroy();
    throw error;
  }
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
  const headers = { "user-agent": "funmatch", accept: "application/json" };
  if (key === undefined) return headers;
  if (!/^[\x21-\x7e]+$/.test(key))
    throw new UserError(`teacher ${url}: its key is empty or holds a blank or a character outside ASCII`);
  return { ...headers, authorization: `Bearer ${key}` };
}

function pinned(url: string, card: Card, version = card.version): string {
  if (card.version === version) return version;
  throw new TeacherError(
    "version",
    `${url} serves ${card.version}, but this run began with ${version}: serve that teacher again, or begin a new run`,
  );
}

/** @example serverTiming("queue;dur=1.5, compute;dur=20, total;dur=30") // { compute: 0.02, total: 0.03 } */
function serverTiming(header: string | null): NonNullable<Answer["server"]> {
  const seconds = (name: string) => {
    const told = new RegExp(`\\b${name};dur=(\\d+(?:\\.\\d+)?)`).exec(header ?? "");
    return told ? Number(told[1]) / 1000 : undefined;
  };
  return { compute: seconds("compute"), total: seconds("total") };
}

function cacheSaid(headers: Headers): Answer["cache"] {
  const said = headers.get(HEADERS.cache);
  return said === "hit" || said === "miss" || said === "bypass" ? said : "none";
}
