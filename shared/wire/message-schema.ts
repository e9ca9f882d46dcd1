/**
 * The msgpack messages and the problem document as schemas, for whoever describes the API. What a message must
 * fulfil beyond them (order of keys, lengths that fit each other) is in the readers: request.ts, response.ts.
 */
import * as z from "zod";
import { DIGEST } from "./digest.ts";
import { CODES, type Problem, type ProblemCode } from "./problem.ts";
import { MOST_BYTES } from "./shape.ts";

export const digestSchema = z
  .string()
  .regex(DIGEST)
  .meta({ description: "SHA-256, in lower-case hexadecimal digits", examples: [`sha256:${"0".repeat(64)}`] });

const dimension = z.int().positive().max(MOST_BYTES);
const binary = z.instanceof(Uint8Array);

const images = z.strictObject({
  dtype: z.enum(["uint8", "float32"]).describe("Pixels are 0..255 in either."),
  shape: z.tuple([dimension, dimension, dimension, dimension]).describe("[N,H,W,C]"),
  data: binary.describe("The pixels, row-major, little-endian: as many bytes as dtype and shape say."),
});

/** See `readRequestHead`. */
export const logitsRequestSchema = z.discriminatedUnion("purpose", [
  z.strictObject({
    purpose: z.literal("train").describe("Goes before evaluation; its answer is never cached."),
    digest: digestSchema.describe("Of images.data."),
    images,
  }),
  z.strictObject({
    purpose: z.literal("eval"),
    digest: digestSchema.optional().describe("Of images.data."),
    images,
  }),
]);

/** See `decodeAnswer`. */
export const logitsAnswerSchema = z.strictObject({
  model: z.string(),
  version: digestSchema.describe("Version of the model that answered."),
  digest: digestSchema.describe("Of the images.data that was received."),
  logits: z.strictObject({
    dtype: z.literal("float32"),
    shape: z.tuple([dimension, dimension]).describe("[N,K]"),
    data: binary.describe("The logits, row-major, little-endian."),
  }),
});

/** RFC 9457, with a stable `code`; further members are the code's own. */
export const problemSchema = z.looseObject({
  type: z.string().describe("urn:funmatch:problem: and the code"),
  title: z.string(),
  status: z.int().min(400).max(599),
  code: z.enum(Object.keys(CODES) as [ProblemCode, ...ProblemCode[]]),
  detail: z.string().describe("For people: what was wrong, where, what would be right."),
}) satisfies z.ZodType<Problem>;
