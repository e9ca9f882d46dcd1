/** What the gateway's document says otherwise than the teacher's: its headers, its refusals, its cards. */
import { cardSchema, digestSchema, HEADERS, type ProblemCode } from "@funmatch/wire";
import { anyAnswer, computedAnswer, PROBLEM, type RefusalForm, refusals } from "@funmatch/wire/openapi";
import * as z from "zod";

/** What any of its answers carries. */
export const gatewayAnswer = anyAnswer.pick({ [HEADERS.requestId]: true });

const rateLimits = {
  "ratelimit-policy": z
    .string()
    .optional()
    .meta({
      description:
        "The team's limits (draft-ietf-httpapi-ratelimit-headers); absent where it has none. Images are told by `funmatch-unit`.",
      examples: ['"minute";q=6000;w=60;funmatch-unit="images"'],
    }),
  ratelimit: z
    .string()
    .optional()
    .meta({ description: "What is left of each.", examples: ['"minute";r=5488;t=1'] }),
};

/** What its answers with logits carry. */
export const gatewayLogits = computedAnswer.extend({
  ...gatewayAnswer.shape,
  [HEADERS.serverTiming]: computedAnswer.shape[HEADERS.serverTiming].optional(),
  [HEADERS.cache]: z
    .enum(["hit", "miss", "bypass"])
    .describe(
      "hit: from the store; miss: asked and stored; bypass: streamed through, as every training call is.",
    ),
  ...rateLimits,
});

const MEANINGS: RefusalForm["meanings"] = {
  unauthenticated: "The key or token is missing, unknown, revoked or expired.",
  unknown_model: "There is no such model.",
  digest_mismatch:
    "422: the bytes that arrived are not those that `digest` names. 502: the teacher answered for other images.",
  quota_exceeded: "The team's quota does not allow this call now.",
  upstream_unreachable: "No teacher that has this model can be reached, or it broke off.",
  loading: "No teacher has the model ready yet; `progress` is the share that is done.",
};

const FORM: RefusalForm = {
  ...PROBLEM,
  headers: gatewayAnswer,
  meanings: MEANINGS,
  otherStatuses: { digest_mismatch: 502, internal: 502 },
  schemaOf: (status, codes) => {
    const schema = PROBLEM.schemaOf(status, codes) as z.ZodObject;
    return codes.includes("quota_exceeded")
      ? schema.extend({
          "violated-policies": z
            .array(z.string())
            .optional()
            .describe("The limits that the call does not fit."),
        })
      : schema;
  },
};

/** How the gateway refuses with these codes. */
export const refused = (codes: readonly ProblemCode[]) => refusals(codes, FORM);

/** The same for logits calls, whose answers tell the team's limits. */
export const refusedLogits = (codes: readonly ProblemCode[]) =>
  refusals(codes, { ...FORM, headers: gatewayAnswer.extend(rateLimits) });

/** A model's card; of one that several teachers have, merged. */
export const mergedCardSchema = cardSchema.safeExtend({
  origins: z
    .array(
      z.object({
        state: z.enum([...cardSchema.shape.state.options, "unreachable"]),
        version: z.union([digestSchema, z.literal("")]),
      }),
    )
    .optional()
    .describe("How each of several teachers stands that have it."),
});
