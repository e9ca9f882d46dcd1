/** The headers of the API, in and out, as the document tells them and as requests are held against. */
import * as z from "zod";
import { HEADERS } from "../headers.ts";
import { digestSchema } from "../message-schema.ts";

/** `x-funmatch-timeout-ms`: whole milliseconds, at least one. */
export const timeoutHeader = z.string().regex(/^[1-9]\d{0,9}$/);

const requestId = z.string().regex(/^[\x21-\x7e]{1,128}$/);

/** What any request may carry. */
export const anyRequest = z.object({
  [HEADERS.requestId]: z
    .string()
    .optional()
    .describe(
      "Names the call, in logs too; a retry keeps it. 1 to 128 visible ASCII characters, or another one is made up.",
    ),
});

/** What a request to compute may carry besides. */
export const computeRequest = anyRequest.extend({
  [HEADERS.version]: z
    .string()
    .optional()
    .meta({
      description: "The version that must answer; a model of another one refuses (409 version_mismatch).",
      examples: [`sha256:${"0".repeat(64)}`],
    }),
  [HEADERS.timeout]: timeoutHeader
    .optional()
    .describe(
      "Milliseconds that the caller will still wait, from the first byte on; at most limits.timeoutMs.",
    ),
  traceparent: z
    .string()
    .optional()
    .describe("W3C trace context; the trace's id stands in the log, and the service's spans hang under it."),
});

const timing = z.string().meta({ examples: ["total;dur=0.4"] });

/** What any answer carries. */
export const anyAnswer = z.object({
  [HEADERS.requestId]: requestId.describe("That of the request, or one made up."),
  [HEADERS.serverTiming]: timing.describe("total: milliseconds from the headers' arrival to the answer"),
});

/** What an answer with logits carries. */
export const computedAnswer = anyAnswer.extend({
  [HEADERS.digest]: digestSchema.describe("Of the image bytes that were received."),
  [HEADERS.answeredVersion]: digestSchema.describe("Version of the model that answered."),
  [HEADERS.cache]: z.enum(["hit", "miss", "bypass"]).describe("A teacher computes each answer: bypass."),
  [HEADERS.serverTiming]: timing.meta({
    description: "Milliseconds: queue, compute, total",
    examples: ["queue;dur=1.2, compute;dur=31.9, total;dur=34.0"],
  }),
  "cache-control": z.literal("no-store"),
});

export const retryAfter = z
  .string()
  .regex(/^[1-9]\d*$/)
  .meta({ description: "Seconds after which to try again", examples: ["3"] });
