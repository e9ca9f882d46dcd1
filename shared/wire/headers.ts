/** Names of the HTTP headers and media types of the API, in the lower case that `Headers` uses. */

export const HEADERS = {
  /** in: the teacher version that the caller insists on */
  version: "x-funmatch-teacher-version",
  /** in: milliseconds that the caller will still wait */
  timeout: "x-funmatch-timeout-ms",
  /** in and out: names the call; a retry keeps it */
  requestId: "x-request-id",
  /** out: digest of the image bytes that were received */
  digest: "x-funmatch-digest",
  /** out: version of the model that answered */
  answeredVersion: "x-funmatch-version",
  /** out: hit | miss | bypass */
  cache: "x-funmatch-cache",
  /** out: queue, compute and total time */
  serverTiming: "server-timing",
} as const;

/** Gateway to teacher: who is asking, signed (see signature.ts). */
export const IDENTITY_HEADER = "x-funmatch-identity";

/** Media type of requests and answers. */
export const MSGPACK_TYPE = "application/vnd.msgpack";

/** Whether a string may be a request id: 1 to 128 visible ASCII characters. */
export function isRequestId(text: string): boolean {
  return /^[\x21-\x7e]{1,128}$/.test(text);
}
