import { decodeAnswer, floats, HEADERS, type LogitsAnswer, WireError } from "@funmatch/wire";
import { TeacherError } from "./errors.ts";
import type { Reply } from "./exchange.ts";

/** What an answer must agree with before its step may be applied. */
export interface Expected {
  who: string;
  digest: string;
  version: string;
  images: number;
  classes: number;
}

/**
 * The logits of an answer, [images, classes], once header and body name the bytes that were sent and
 * the teacher that was pinned, the shape fits, and every number is finite.
 *
 * @throws TeacherError naming what is wrong
 */
export function verifiedLogits(reply: Reply, expected: Expected): Float32Array {
  const { who, digest, version, images, classes } = expected;
  const answer = readAnswer(who, reply.bytes);
  for (const told of [reply.headers.get(HEADERS.digest), answer.digest])
    if (told !== digest)
      throw new TeacherError(
        "digest",
        `${who}: the answer is for ${told ?? "no digest"}, sent was ${digest}`,
      );
  for (const told of [reply.headers.get(HEADERS.answeredVersion), answer.version])
    if (told !== version)
      throw new TeacherError(
        "version",
        `${who}: the answer is of teacher ${told ?? "unknown"}, this run's teacher is ${version}`,
      );
  const [n, k] = answer.logits.shape;
  if (n !== images || k !== classes)
    throw new TeacherError("shape", `${who}: logits [${n},${k}] came back, expected [${images},${classes}]`);
  const logits = floats(answer.logits.data);
  const bad = logits.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new TeacherError(
      "non-finite",
      `${who}: logit ${bad % classes} of image ${Math.floor(bad / classes)} is ${logits[bad]}`,
    );
  return logits;
}

function readAnswer(who: string, bytes: Uint8Array): LogitsAnswer {
  try {
    return decodeAnswer(bytes);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new TeacherError("malformed", `${who}: the answer cannot be read: ${error.detail}`, {
      cause: error,
    });
  }
}
