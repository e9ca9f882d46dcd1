import {
  CODES,
  cardSchema,
  limitsSchema,
  logitsAnswerSchema,
  logitsRequestSchema,
  MSGPACK_TYPE,
  modelListSchema,
  type ProblemCode,
} from "@funmatch/wire";
import { z } from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { modelName } from "../config/config.ts";
import { anyAnswer, anyRequest, computedAnswer, computeRequest } from "./headers.ts";
import { refusals } from "./refusals.ts";

const TAG = { tags: ["Logits"] };
const model = z.object({ model: modelName.meta({ description: "A name from `GET /v1/models`" }) });
const ASKING: ProblemCode[] = ["unauthenticated", "forbidden", "internal", "loading"];

const json = (description: string, schema: z.ZodType) => ({
  description,
  headers: anyAnswer,
  content: { "application/json": { schema } },
});

/** This project's own API, under `/v1`. */
export const v1Paths: ZodOpenApiPathsObject = {
  "/v1/models": {
    get: {
      ...TAG,
      operationId: "listModels",
      summary: "The models and their cards",
      requestParams: { header: anyRequest },
      responses: { "200": json("All models, ready or not", modelListSchema), ...refusals(ASKING) },
    },
  },
  "/v1/models/{model}": {
    get: {
      ...TAG,
      operationId: "showModel",
      summary: "A model's card",
      requestParams: { path: model, header: anyRequest },
      responses: {
        "200": json("The card", cardSchema),
        ...refusals([...ASKING, "unknown_model", "not_found"]),
      },
    },
  },
  "/v1/models/{model}/logits": {
    post: {
      ...TAG,
      operationId: "askLogits",
      summary: "The logits of a batch of images",
      description:
        "The body is one msgpack map, without extension types, its keys in the order shown and none repeated. " +
        "`images.data` begins within the first 512 bytes and ends the body. Content-Length is required and exact.",
      requestParams: { path: model, header: computeRequest },
      requestBody: { required: true, content: { [MSGPACK_TYPE]: { schema: logitsRequestSchema } } },
      responses: {
        "200": {
          description: "The logits, and of which bytes and which model they are: compare both digests.",
          headers: computedAnswer,
          content: { [MSGPACK_TYPE]: { schema: logitsAnswerSchema } },
        },
        ...refusals(Object.keys(CODES) as ProblemCode[]),
      },
    },
  },
  "/v1/limits": {
    get: {
      ...TAG,
      operationId: "showLimits",
      summary: "What one request may be at most",
      requestParams: { header: anyRequest },
      responses: { "200": json("The limits", limitsSchema), ...refusals(ASKING) },
    },
  },
};
