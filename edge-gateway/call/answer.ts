import { HEADERS, MSGPACK_TYPE, WireError } from "@funmatch/wire";

/** What `x-funmatch-cache` says: from the store, asked and stored, or never near the store. */
export type CacheUse = "hit" | "miss" | "bypass";

/** Headers of a teacher's answer that go on to the client. */
const PASSED_ON = [HEADERS.digest, HEADERS.answeredVersion, HEADERS.serverTiming, "content-length"];

/**
 * Holds an answer against the digest of the images that were sent: logits of other images must not pass.
 *
 * @throws WireError `digest_mismatch` with status 502
 */
export function requireDigest(answer: Response, digest: string): void {
  const answered = answer.headers.get(HEADERS.digest);
  if (answered !== digest) {
    void answer.body?.cancel().catch(() => {}); // nobody will read it
    throw new WireError(
      "digest_mismatch",
      `the teacher answered for ${answered ?? "no digest"}, sent were ${digest}`,
      {
        status: 502,
      },
    );
  }
}

/**
 * The client's answer: the teacher's body as it is, and of its headers those that concern the client.
 *
 * @example
 * return passOn(answer, answer.body, "bypass");
 */
export function passOn(answer: Response, body: BodyInit | null, cache: CacheUse): Response {
  const headers = answerHeaders(cache);
  for (const name of PASSED_ON) {
    const value = answer.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  return new Response(body, { status: answer.status, headers });
}

/** Headers that every logits answer has. */
export function answerHeaders(cache: CacheUse): Headers {
  return new Headers({ "content-type": MSGPACK_TYPE, "cache-control": "no-store", [HEADERS.cache]: cache });
}
