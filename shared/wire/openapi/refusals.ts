import * as z from "zod";
import type { ZodOpenApiResponsesObject } from "zod-openapi";
import { problemSchema } from "../message-schema.ts";
import { CODES, type ProblemCode, toProblem, WireError } from "../problem.ts";
import { anyAnswer, retryAfter } from "./headers.ts";

/** What each code means; a code that a gateway alone answers says so. */
const MEANINGS: Record<ProblemCode, string> = {
  malformed: "The message or a header is not as described; `detail` names the place.",
  unauthenticated: "The bearer token or the gateway's signature is missing or wrong.",
  forbidden: "The credentials do not allow this.",
  unknown_model: "There is no such model; `detail` names those that there are.",
  not_found: "There is nothing at this address.",
  version_mismatch: "The model has another version than the pinned one; `version` tells it.",
  length_required: "The body came without Content-Length.",
  too_large: "A limit is passed; `limit` names it, see `GET /v1/limits`.",
  unsupported_media_type: "Another content type than the one taken, or any content encoding.",
  digest_mismatch: "The bytes that arrived are not those that `digest` names.",
  shape_mismatch: "The model does not take images of this shape.",
  bad_dtype: "The model does not take images of this dtype.",
  quota_exceeded: "The team's quota is used up.",
  overloaded: "Too much work is waiting.",
  internal: "The service failed; its log says why.",
  upstream_unreachable: "Of a gateway: the teacher behind it cannot be reached.",
  loading: "The model is not ready yet; `progress` is the share that is done.",
  deadline_exceeded: "The time that the request had is over.",
};

/** A code's own members of the problem document. */
const MEMBERS: Partial<Record<ProblemCode, z.ZodRawShape>> = {
  version_mismatch: { version: z.string().optional() },
  too_large: { limit: z.string().optional() },
  loading: { progress: z.number().optional() },
};

const RETRIED = [429, 502, 503];

/** How a protocol, or a service, writes refusals. */
export interface RefusalForm {
  readonly type: string;
  schemaOf(status: number, codes: readonly ProblemCode[]): z.ZodType;
  readonly exampleOf?: (code: ProblemCode, meaning: string, status: number) => object;
  /** Headers of any of its answers. */
  readonly headers: z.ZodObject;
  /** What codes mean, where it is not what they mean of a teacher. */
  readonly meanings?: Partial<Record<ProblemCode, string>>;
  /** Statuses that codes come with beside their own. */
  readonly otherStatuses?: Partial<Record<ProblemCode, number>>;
}

/** Problem documents, as a teacher answers them. */
export const PROBLEM: RefusalForm = {
  type: "application/problem+json",
  headers: anyAnswer,
  schemaOf: (status, codes) =>
    problemSchema.extend({
      status: z.literal(status),
      code: z.enum(codes as [ProblemCode, ...ProblemCode[]]),
      ...Object.assign({}, ...codes.map((code) => MEMBERS[code])),
    }),
  exampleOf: (code, meaning, status) => toProblem(new WireError(code, meaning, { status })),
};

/** The responses that tell these codes, one for each HTTP status. */
export function refusals(
  codes: readonly ProblemCode[],
  form: RefusalForm = PROBLEM,
): ZodOpenApiResponsesObject {
  const { otherStatuses = {} } = form;
  const ofStatus = (status: number) =>
    codes.filter((code) => CODES[code] === status || otherStatuses[code] === status);
  const all = codes.flatMap((code) => [CODES[code], otherStatuses[code] ?? []].flat());
  const statuses = [...new Set<number>(all)].sort((a, b) => a - b);
  return Object.fromEntries(
    statuses.map((status) => [String(status), refusal(status, ofStatus(status), form)]),
  );
}

function refusal(status: number, codes: readonly ProblemCode[], form: RefusalForm) {
  const { type, schemaOf, exampleOf } = form;
  const meaningOf = (code: ProblemCode) => form.meanings?.[code] ?? MEANINGS[code];
  const headers = form.headers.extend({
    "cache-control": z.literal("no-store"),
    ...(RETRIED.includes(status)
      ? { "retry-after": status === 502 ? retryAfter.optional() : retryAfter }
      : {}),
    ...(status === 401 ? { "www-authenticate": z.literal("Bearer") } : {}),
  });
  const examples =
    exampleOf &&
    Object.fromEntries(codes.map((code) => [code, { value: exampleOf(code, meaningOf(code), status) }]));
  return {
    description: codes.map((code) => `\`${code}\`: ${meaningOf(code)}`).join("\n\n"),
    headers,
    content: { [type]: { schema: schemaOf(status, codes), ...(examples && { examples }) } },
  };
}
