import {
  type Card,
  encodeRequestHead,
  HEADERS,
  type ImageDtype,
  type Limits,
  type Purpose,
} from "@funmatch/wire";
import { teacherAddress } from "./address.ts";
import { readCard, readLimits } from "./card.ts";
import { type ConnectionOptions, openConnection } from "./connection.ts";
import { pinned } from "./pin.ts";
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
  /**
   * Whether its answers name the digest of what they are for. An Open Inference Protocol server's do not: what it
   * teaches counts as unverified.
   */
  echoesDigest: boolean;
  ask(views: SentViews, call: Call): Promise<Answer>;
  /** Asks as if the run's config had named another value range; absent where that is not the run's to say. */
  askInRange?(valueRange: [number, number], views: SentViews, call: Call): Promise<Answer>;
  close(): Promise<void>;
}

export interface TeacherOptions extends Omit<ConnectionOptions, "origin"> {
  /** The version that a resumed run began with. */
  pinnedVersion?: string;
  /** For one request; the service's own limit, if that is less. */
  timeoutMs?: number;
}

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
  const { url, origin, prefix, model } = teacherAddress(options.url);
  const connection = openConnection({ ...options, url, origin });
  const get = (path: string) => connection.get(`${prefix}${path}`);
  try {
    const card = await readCard(url, () => get(`/v1/models/${model}`), connection.onWait, options.signal);
    const limits = readLimits(url, await get("/v1/limits"));
    const version = pinned(url, card.version, options.pinnedVersion);
    const timeoutMs = Math.min(options.timeoutMs ?? Number.POSITIVE_INFINITY, limits.timeoutMs);

    const ask = async (views: SentViews, call: Call): Promise<Answer> => {
      const head = encodeRequestHead({ ...views, purpose: call.purpose, dtype });
      const images = views.shape[0];
      const reply = await connection.post({
        path: `${prefix}/v1/models/${model}/logits`,
        headers: {
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
      });
      const who = `${url}, request ${call.requestId}`;
      const expected = { who, digest: views.digest, version, images, classes: card.classes };
      const { headers: said } = reply;
      const server = serverTiming(said.get(HEADERS.serverTiming));
      return { logits: verifiedLogits(reply, expected), version, cache: cacheSaid(said), server };
    };
    return { url, card, limits, echoesDigest: true, ask, close: connection.close };
  } catch (error) {
    await connection.close();
    throw error;
  }
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
