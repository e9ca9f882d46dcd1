import { CODES, type ProblemCode } from "@funmatch/wire";
import {
  errorSchema,
  INFERENCE_HEADER,
  inferAnswerSchema,
  inferRequestSchema,
  liveSchema,
  modelConfigSchema,
  modelMetadataSchema,
  modelReadySchema,
  readySchema,
  serverMetadataSchema,
} from "@funmatch/wire/oip";
import {
  anyAnswer,
  anyRequest,
  computedAnswer,
  computeRequest,
  PROBLEM,
  refusals,
} from "@funmatch/wire/openapi";
import { z } from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { modelName } from "../config/config.ts";

const TAG = { tags: ["Open Inference Protocol"] };
const ASKING: ProblemCode[] = ["unauthenticated", "forbidden", "internal", "loading"];
const NAMED: ProblemCode[] = [...ASKING, "unknown_model", "not_found"];
const BINARY = { schema: { type: "string", format: "binary" } } as const;

const json = (description: string, schema: z.ZodType) => ({
  description,
  headers: anyAnswer,
  content: { "application/json": { schema } },
});
const refused = (codes: readonly ProblemCode[]) =>
  refusals(codes, { type: "application/json", schemaOf: () => errorSchema, headers: PROBLEM.headers });

/** Where the JSON ends: there is no such header where all of the body is JSON. */
const jsonEnds = z
  .string()
  .regex(/^\d{1,16}$/)
  .optional()
  .describe("Bytes of JSON before those of the tensors; absent where there is JSON alone.");

/** A model's addresses, with a version in them and without one. */
function modelPaths(path: string, parameters: z.ZodObject, suffix: string): ZodOpenApiPathsObject {
  const named = { path: parameters, header: anyRequest };
  return {
    [path]: {
      get: {
        ...TAG,
        operationId: `modelMetadata${suffix}`,
        summary: "Names, types and shapes of a model's tensors",
        requestParams: named,
        responses: { "200": json("The metadata", modelMetadataSchema), ...refused(NAMED) },
      },
    },
    [`${path}/config`]: {
      get: {
        ...TAG,
        operationId: `modelConfig${suffix}`,
        summary: "A model's configuration, as Triton tells it",
        requestParams: named,
        responses: {
          "200": json("The configuration", z.looseObject(modelConfigSchema.shape)),
          ...refused(NAMED),
        },
      },
    },
    [`${path}/ready`]: {
      get: {
        ...TAG,
        operationId: `modelReady${suffix}`,
        summary: "Whether a model answers now",
        requestParams: named,
        responses: {
          "200": json("Ready", modelReadySchema),
          ...refused(NAMED),
          "503": json("Not ready", modelReadySchema),
        },
      },
    },
    [`${path}/infer`]: {
      post: {
        ...TAG,
        operationId: `infer${suffix}`,
        summary: "The logits of a batch of images",
        description:
          `The one input is \`images\`, UINT8 or FP32, [N,H,W,3]; the one output is \`logits\`, FP32, [N,K]. Either goes ` +
          `as numbers in the JSON or, much faster, as bytes behind it, where \`${INFERENCE_HEADER}\` tells the length of ` +
          "the JSON and `parameters.binary_data_size` that of the bytes.",
        requestParams: { path: parameters, header: computeRequest.extend({ [INFERENCE_HEADER]: jsonEnds }) },
        requestBody: {
          required: true,
          content: { "application/json": { schema: inferRequestSchema }, "application/octet-stream": BINARY },
        },
        responses: {
          "200": {
            description: "The logits",
            headers: computedAnswer.extend({ [INFERENCE_HEADER]: jsonEnds }),
            content: {
              "application/json": { schema: inferAnswerSchema },
              "application/octet-stream": BINARY,
            },
          },
          ...refused(Object.keys(CODES) as ProblemCode[]),
        },
      },
    },
  };
}

const open = { ...TAG, security: [], requestParams: { header: anyRequest } };
const model = z.object({ model: modelName.meta({ description: "A name from `GET /v2/models`" }) });
const version = model.extend({
  version: z.string().min(1).describe("1, or the version that the card tells"),
});

/** The Open Inference Protocol, version 2, under `/v2`. */
export const v2Paths: ZodOpenApiPathsObject = {
  "/v2": {
    get: {
      ...TAG,
      operationId: "serverMetadata",
      summary: "What serves here",
      requestParams: { header: anyRequest },
      responses: {
        "200": json("The metadata", serverMetadataSchema),
        ...refused(ASKING),
      },
    },
  },
  "/v2/health/live": {
    get: {
      ...open,
      operationId: "isLive",
      summary: "Whether the process answers",
      responses: { "200": json("It does", liveSchema), ...refused(["internal"]) },
    },
  },
  "/v2/health/ready": {
    get: {
      ...open,
      operationId: "isServerReady",
      summary: "Whether requests are answered now",
      responses: {
        "200": json("Ready", readySchema),
        ...refused(["internal"]),
        "503": json("Loading, or draining", readySchema),
      },
    },
  },
  "/v2/models": {
    get: {
      ...TAG,
      operationId: "modelNames",
      summary: "The names of the models",
      requestParams: { header: anyRequest },
      responses: {
        "200": json("All models, ready or not", z.object({ models: z.array(z.string()) })),
        ...refused(ASKING),
      },
    },
  },
  ...modelPaths("/v2/models/{model}", model, ""),
  ...modelPaths("/v2/models/{model}/versions/{version}", version, "OfVersion"),
};
