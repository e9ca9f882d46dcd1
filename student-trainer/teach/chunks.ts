import { UserError } from "@funmatch/config";
import { HEAD_BYTES, type Limits } from "@funmatch/wire";
import type { Chunk } from "../data/batch.ts";
import type { Answer, Call, SentViews } from "./client.ts";
import { TeacherError } from "./errors.ts";
import { follow } from "./follower.ts";

/** A whole batch's answer. */
export interface BatchAnswer {
  /** [N,K] */
  logits: Float32Array;
  version: string;
  /** One for every request that it took. */
  caches: Answer["cache"][];
}

/**
 * The most images that one request may carry.
 *
 * @param imageBytes bytes of one image
 * @throws UserError when the service accepts not even one
 */
export function largestChunk(limits: Limits, imageBytes: number): number {
  const fit = Math.min(limits.maxImages, Math.floor((limits.maxBodyBytes - HEAD_BYTES) / imageBytes));
  if (fit >= 1) return fit;
  throw new UserError(
    `one image has ${imageBytes} bytes, the teacher accepts ${limits.maxBodyBytes} a request: lower student.resolution`,
  );
}

/**
 * Asks for all pieces of a batch at once and puts their logits together in order. All of them are
 * needed, of one version: the first failure ends the other requests.
 *
 * @throws TeacherError of the piece that failed; the signal's reason
 */
export async function askPieces(
  ask: (views: SentViews, call: Call) => Promise<Answer>,
  views: SentViews,
  pieces: Chunk[],
  call: Call,
): Promise<BatchAnswer> {
  using follower = follow(call.signal);
  const { signal } = follower;
  try {
    const answers = await Promise.all(
      pieces.map(({ start, count, digest }, i) => {
        const shape = [count, ...views.shape.slice(1)] as unknown as SentViews["shape"];
        const requestId = pieces.length === 1 ? call.requestId : `${call.requestId}.${i}`;
        return ask({ shape, data: pieceData(views, start, count), digest }, { ...call, requestId, signal });
      }),
    );
    return joined(answers, views.shape[0]);
  } finally {
    follower.abort();
  }
}

function joined(answers: Answer[], images: number): BatchAnswer {
  const [first] = answers;
  if (!first) throw new RangeError("a batch without images");
  const total = answers.reduce((sum, { logits }) => sum + logits.length, 0);
  if (answers.some(({ version }) => version !== first.version) || total % images !== 0)
    throw new TeacherError("version", "pieces of one batch were answered by different teachers");
  const caches = answers.map(({ cache }) => cache);
  if (answers.length === 1) return { logits: first.logits, version: first.version, caches };
  const logits = new Float32Array(total);
  let at = 0;
  for (const answer of answers) {
    logits.set(answer.logits, at);
    at += answer.logits.length;
  }
  return { logits, version: first.version, caches };
}

function pieceData({ data, shape }: SentViews, start: number, count: number): Uint8Array {
  const imageBytes = shape[1] * shape[2] * shape[3];
  return data.subarray(start * imageBytes, (start + count) * imageBytes);
}
