/** What a service tells about its models and limits, as JSON. Unknown members are passed over when read. */
import * as z from "zod";
import { isDigest } from "./digest.ts";

const count = z.int().nonnegative();

/** What a card says, whoever's it is: a teacher of another protocol has one too, under a version of another form. */
export const anyCardSchema = z.object({
  id: z.string().min(1),
  version: z
    .string()
    .describe('"sha256:…"; may be empty until the model is ready; of a model that was, the last one'),
  classes: count.describe("K; may be 0 until the model is ready"),
  labels: z.array(z.string()).optional(),
  input: z.object({
    resolution: z.int().positive().describe("Side of the square images that the network was made for."),
    valueRange: z
      .tuple([z.number(), z.number()])
      .describe("What pixel values 0 and 255 become inside the network."),
    channels: z.int().positive(),
    dtypes: z.array(z.enum(["uint8", "float32"])).min(1),
    resizes: z.boolean().describe("Whether images of another size are resized instead of refused."),
  }),
  maxBatch: z.int().positive().describe("Images that one forward pass takes."),
  state: z
    .enum(["unloaded", "loading", "ready", "failed"])
    .describe("unloaded: the first who asks for the card, or for logits, has it loaded."),
  progress: z.number().min(0).max(1).optional().describe("Share of the loading that is done."),
  phase: z.string().optional().describe("What is being done of the loading."),
  bitStable: z.boolean().describe("Whether the same image has the same logits, bit for bit, in every batch."),
  parameters: count,
  runtime: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .describe("Engine, device, compute dtype…: told, but no part of the version."),
});

/** A model's card (`GET /v1/models/{model}`). */
export const cardSchema = anyCardSchema.superRefine((card, context) => {
  const refuse = (path: string, message: string) =>
    context.addIssue({ code: "custom", path: [path], message });
  if (card.state === "ready" && !isDigest(card.version)) refuse("version", "expected sha256:<64 hex digits>");
  if (card.state === "ready" && card.classes === 0) refuse("classes", "a model that is ready has classes");
  if (card.labels !== undefined && card.labels.length !== card.classes) {
    refuse("labels", `expected one for each of ${card.classes} classes, got ${card.labels.length}`);
  }
});

export type Card = z.infer<typeof cardSchema>;

/** The list of models (`GET /v1/models`). */
export const modelListSchema = z.object({ models: z.array(cardSchema) });

export type ModelList = z.infer<typeof modelListSchema>;

/** What a service takes at most in one request (`GET /v1/limits`). */
export const limitsSchema = z.object({
  maxImages: z.int().positive().describe("Images in one request."),
  maxBodyBytes: z.int().positive().describe("Bytes of a request's body."),
  timeoutMs: z.int().positive().describe("Longest time that a request may take."),
});

export type Limits = z.infer<typeof limitsSchema>;
