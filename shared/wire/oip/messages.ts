/**
 * Messages of the Open Inference Protocol, version 2, and of those of Triton's extensions that are spoken here: the
 * binary tensor data and the model configuration.
 * https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
 *
 * Servers and clients differ in what they leave out: what is optional may also be null, and members that are not
 * named here are passed over.
 */
import * as z from "zod";

/** Header that tells where a message's JSON ends and its tensors' bytes begin. */
export const INFERENCE_HEADER = "inference-header-content-length";

/** The only input of a teacher, [N,H,W,3] RGB pixels 0..255, and its only output, [N,K]. */
export const IMAGES = "images";
export const LOGITS = "logits";

/** Dimensions: positive, and no larger than any message could hold. */
const dimension = z.int().min(1).max(0xffff_ffff);

/** `GET /v2` */
export const serverMetadataSchema = z.object({
  name: z.string().nullish(),
  version: z.string().nullish(),
  extensions: z.array(z.string()).nullish(),
});

/** A tensor as metadata tell of it; -1 is a dimension of any size. */
export const tensorMetadataSchema = z.object({
  name: z.string(),
  datatype: z.string(),
  shape: z.array(z.coerce.number().int()),
});

/** `GET /v2/models/{model}` */
export const modelMetadataSchema = z.object({
  name: z.string(),
  /** Those that an address may name. */
  versions: z.array(z.string()).nullish(),
  platform: z.string().nullish(),
  inputs: z.array(tensorMetadataSchema).nullish(),
  outputs: z.array(tensorMetadataSchema).nullish(),
});

/** Of `GET /v2/models/{model}/config` what is read here. */
export const modelConfigSchema = z.object({
  name: z.string().nullish(),
  /** Images in one request; 0 where the first dimension counts no images. */
  max_batch_size: z.int().nullish(),
});

/** `GET /v2/health/live`, `GET /v2/health/ready`, `GET /v2/models/{model}/ready` */
export const liveSchema = z.object({ live: z.boolean() });
export const readySchema = z.object({ ready: z.boolean() });
export const modelReadySchema = z.object({ name: z.string(), ready: z.boolean() });

/** Any refusal. */
export const errorSchema = z.object({ error: z.string() });

/** The JSON of `POST /v2/models/{model}/infer`. */
export const inferRequestSchema = z.object({
  /** Comes back with the answer. */
  id: z.string().nullish(),
  parameters: z
    .object({
      /** Training answers are never cached, and go before evaluation. Default: train. */
      purpose: z.enum(["train", "eval"]).nullish(),
      /** Microseconds; 0 for the service's own limit. */
      timeout: z.int().min(0).nullish(),
      /** Whether outputs that say nothing else come as bytes. */
      binary_data_output: z.boolean().nullish(),
    })
    .nullish(),
  inputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.string(),
      shape: z.array(dimension).max(8),
      /** `binary_data_size`: the tensor's bytes follow the JSON. */
      parameters: z
        .object({ binary_data_size: z.int().min(0).nullish(), shared_memory_region: z.unknown() })
        .partial()
        .nullish(),
      /** Numbers in row-major order, flat or nested as the shape is. */
      data: z.unknown().optional(),
    }),
  ),
  /** Default: all outputs. */
  outputs: z
    .array(
      z.object({
        name: z.string(),
        parameters: z
          .object({ binary_data: z.boolean().nullish(), classification: z.unknown() })
          .partial()
          .nullish(),
      }),
    )
    .nullish(),
});

/** The JSON of an answer. */
export const inferAnswerSchema = z.object({
  model_name: z.string().nullish(),
  model_version: z.string().nullish(),
  id: z.string().nullish(),
  outputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.string(),
      shape: z.array(z.int()),
      parameters: z.object({ binary_data_size: z.int().min(0).optional() }).nullish(),
      data: z.array(z.unknown()).nullish(),
    }),
  ),
});

export type ServerMetadata = z.infer<typeof serverMetadataSchema>;
export type TensorMetadata = z.infer<typeof tensorMetadataSchema>;
export type ModelMetadata = z.infer<typeof modelMetadataSchema>;
export type InferRequest = z.infer<typeof inferRequestSchema>;
export type InferAnswer = z.infer<typeof inferAnswerSchema>;
