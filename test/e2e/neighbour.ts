import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeRequestHead, HEADERS } from "@funmatch/wire";

/** A team of its own that asks the same teacher beside the run, and knows what it was answered. */
export interface Neighbour {
  team: string;
  /** Whoever revokes the key puts the next one here first. */
  key: string;
  /** Different requests that were answered in the end, however often each was sent. */
  answered: number;
  /** Times that its quota made it wait. */
  held: number;
  /** What no well-behaved client should be told. */
  wrong: string[];
  /** Asks no more, once the request it is at is answered. */
  stop(): Promise<void>;
}

export const NEIGHBOUR_IMAGES = 4;
/** A gateway is away for some seconds at most. */
const MOST_TRIES = 500;

export function startNeighbour(o: {
  url: () => string;
  team: string;
  key: string;
  side: number;
  everyMs: number;
}): Neighbour {
  const stopped = new AbortController();
  const neighbour = { team: o.team, key: o.key, answered: 0, held: 0, wrong: [] as string[] };

  async function once(): Promise<void> {
    const requestId = randomUUID();
    const body = trainingCall(NEIGHBOUR_IMAGES, o.side);
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const { key } = neighbour;
      const answer = await fetch(`${o.url()}/v1/models/prof/logits`, {
        method: "POST",
        body,
        headers: {
          authorization: `Bearer ${key}`,
          "content-type": "application/vnd.msgpack",
          [HEADERS.requestId]: requestId,
        },
      }).catch(() => undefined); // the gateway is being started again
      const told = await answer?.text().catch(() => undefined);
      if (answer?.status === 200 && told !== undefined) {
        neighbour.answered++;
        return;
      }
      if (answer?.status === 429) neighbour.held++;
      else if (answer !== undefined && answer.status < 500 && answer.status !== 200 && key === neighbour.key)
        neighbour.wrong.push(`${o.team}: ${answer.status} ${told}`);
      await sleep(1000 * Number(answer?.headers.get("retry-after") ?? 0.2));
    }
    neighbour.wrong.push(`${o.team}: no answer to ${requestId} after ${MOST_TRIES} tries`);
  }

  async function ask(): Promise<void> {
    while (!stopped.signal.aborted) {
      await once();
      await sleep(o.everyMs, undefined, { signal: stopped.signal }).catch(() => {});
    }
  }
  const asking = ask();
  return Object.assign(neighbour, {
    stop: () => {
      stopped.abort();
      return asking;
    },
  });
}

/** A training call with pixels that nobody has sent before. */
function trainingCall(images: number, side: number): Buffer<ArrayBuffer> {
  const shape = [images, side, side, 3];
  const data = Buffer.alloc(images * side * side * 3, randomUUID());
  const digest = `sha256:${createHash("sha256").update(data).digest("hex")}`;
  return Buffer.concat([encodeRequestHead({ purpose: "train", digest, dtype: "uint8", shape }), data]);
}
