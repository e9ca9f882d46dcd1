/**
 * Errors as the API tells them: one stable code each, its HTTP status, and `application/problem+json`
 * (RFC 9457) as the form in which they travel.
 */

/** Stable error codes and the HTTP status each is answered with. */
export const CODES = {
  malformed: 400,
  unauthenticated: 401,
  forbidden: 403,
  unknown_model: 404,
  not_found: 404,
  version_mismatch: 409,
  length_required: 411,
  too_large: 413,
  unsupported_media_type: 415,
  digest_mismatch: 422,
  shape_mismatch: 422,
  bad_dtype: 422,
  quota_exceeded: 429,
  overloaded: 429,
  internal: 500,
  upstream_unreachable: 502,
  loading: 503,
  deadline_exceeded: 504,
} as const satisfies Record<string, number>;

export type ProblemCode = keyof typeof CODES;

const TITLES: Record<ProblemCode, string> = {
  malformed: "The message is malformed",
  unauthenticated: "Credentials are missing or wrong",
  forbidden: "The credentials do not allow this",
  unknown_model: "There is no such model",
  not_found: "There is nothing at this address",
  version_mismatch: "The model has another version than the one asked for",
  length_required: "A Content-Length is required",
  too_large: "The request is over a limit",
  unsupported_media_type: "The body has an unsupported type or encoding",
  digest_mismatch: "The bytes are not those that the digest names",
  shape_mismatch: "The model does not take images of this shape",
  bad_dtype: "The model does not take images of this dtype",
  quota_exceeded: "The quota is used up",
  overloaded: "Too much work is waiting",
  internal: "Something went wrong inside the service",
  upstream_unreachable: "The service behind this one cannot be reached",
  loading: "The model is still loading",
  deadline_exceeded: "The answer would have come too late",
};

/** Refusals that only mean "later": they always say how much later. */
const LATER: ReadonlySet<ProblemCode> = new Set(["quota_exceeded", "overloaded", "loading"]);

/** What a `WireError` may carry beside its code and detail. */
export interface WireErrorOptions {
  /** Another HTTP status than the code's own: the gateway tells `digest_mismatch` of its teacher as 502. */
  status?: number;
  /** Seconds after which to try again. Sent rounded up, at least 1. */
  retryAfterSeconds?: number;
  /** Further members of the problem document, as `{ limit: "maxImages" }` or `{ progress: 0.4 }`. */
  extra?: Record<string, unknown>;
  cause?: unknown;
}

/** An error that the API has a code for. `detail` is for people: what was wrong, where, what would be right. */
export class WireError extends Error {
  readonly code: ProblemCode;
  readonly status: number;
  readonly detail: string;
  readonly retryAfterSeconds?: number;
  readonly extra?: Record<string, unknown>;

  constructor(code: ProblemCode, detail: string, options: WireErrorOptions = {}) {
    super(`${code}: ${detail}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "WireError";
    this.code = code;
    this.detail = detail;
    this.status = options.status ?? CODES[code];
    if (options.retryAfterSeconds !== undefined) this.retryAfterSeconds = options.retryAfterSeconds;
    if (options.extra !== undefined) this.extra = options.extra;
  }
}

/** A problem document (RFC 9457) with our stable `code`; further members are the error's `extra`. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ProblemCode;
  detail: string;
  [member: string]: unknown;
}

const PROBLEM_TYPE = "application/problem+json";

/** The problem document of an error. `extra` cannot displace the members that the standard names. */
export function toProblem(error: WireError): Problem {
  return {
    ...error.extra,
    type: `urn:funmatch:problem:${error.code}`,
    title: TITLES[error.code],
    status: error.status,
    code: error.code,
    detail: error.detail,
  };
}

/** The HTTP answer that tells an error: problem+json, never cached, with `retry-after` where waiting helps. */
export function problemResponse(error: WireError, headers?: HeadersInit): Response {
  const all = new Headers(headers);
  all.set("content-type", PROBLEM_TYPE);
  all.set("cache-control", "no-store");
  const seconds = error.retryAfterSeconds ?? (LATER.has(error.code) ? 1 : undefined);
  if (seconds !== undefined) all.set("retry-after", String(wholeSeconds(seconds)));
  return new Response(JSON.stringify(toProblem(error)), { status: error.status, headers: all });
}

/**
 * The error that an HTTP answer of status 400 or more tells. What comes from no service of ours (a proxy's
 * HTML page, an empty body) is given the code that its status suggests; status and `retry-after` are kept.
 */
export function readProblem(status: number, bodyText: string, headers: Headers): WireError {
  const options: WireErrorOptions = { status };
  const seconds = retryAfter(headers.get("retry-after"));
  if (seconds !== undefined) options.retryAfterSeconds = seconds;

  const document = parseObject(bodyText);
  if (document === undefined || !isCode(document.code)) {
    const from = document === undefined ? excerpt(bodyText) : excerpt(JSON.stringify(document));
    return new WireError(codeOfStatus(status), `status ${status}${from === "" ? "" : `: ${from}`}`, options);
  }
  const { type: _type, title, status: _status, code, detail, ...extra } = document;
  if (Object.keys(extra).length > 0) options.extra = extra;
  return new WireError(code, String(detail ?? title ?? `status ${status}`), options);
}

function wholeSeconds(seconds: number): number {
  return Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : 1;
}

/** `retry-after` is a number of seconds or a date (RFC 9110, 10.2.3). */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return wholeSeconds(Number(header));
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : wholeSeconds((date - Date.now()) / 1000);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function isCode(code: unknown): code is ProblemCode {
  return typeof code === "string" && Object.hasOwn(CODES, code);
}

/** The first words of a foreign error page, without its markup. */
function excerpt(text: string): string {
  const plain = text
    .slice(0, 4096)
    .replace(/<(style|script)[\s\S]*?<\/\1>|<[^>]*>/gi, " ")
    .replace(/\s+/g, " ")
    .trim();
  return plain.length > 120 ? `${plain.slice(0, 120)}…` : plain;
}

function codeOfStatus(status: number): ProblemCode {
  switch (status) {
    case 401:
      return "unauthenticated";
    case 403:
      return "forbidden";
    case 404:
      return "not_found";
    case 411:
      return "length_required";
    case 413:
      return "too_large";
    case 415:
      return "unsupported_media_type";
    case 429:
      return "overloaded";
    case 408:
    case 504:
      return "deadline_exceeded";
    case 502:
    case 503:
      return "upstream_unreachable";
  }
  // 520 to 530 are what Cloudflare answers when the server behind it does not.
  if (status >= 520 && status <= 530) return "upstream_unreachable";
  return status >= 400 && status < 500 ? "malformed" : "internal";
}
