import * as z from "zod";
import type { ZodOpenApiPathsObject, ZodOpenApiResponsesObject } from "zod-openapi";
import { limitsSchema } from "../card.ts";
import { MSGPACK_TYPE } from "../headers.ts";
import { logitsAnswerSchema, logitsRequestSchema } from "../message-schema.ts";
import { CODES, type ProblemCode } from "../problem.ts";
import { anyRequest, computeRequest } from "./headers.ts";

/** What differs between those who serve this API. */
export interface Serving {
  modelName: z.ZodType;
  card: z.ZodType;
  list: z.ZodType;
  /** Headers of any answer, and of one with logits. */
  anyAnswer: z.ZodObject;
  computedAnswer: z.ZodObject;
  refusals(codes: readonly ProblemCode[]): ZodOpenApiResponsesObject;
  /** The same for logits calls. */
  refusedLogits(codes: readonly ProblemCode[]): ZodOpenApiResponsesObject;
  /** How asking for cards or limits may be refused. */
  asking: readonly ProblemCode[];
}

/**
 * This project's own API, under `/v1`, as OpenAPI describes it.
 *
 * @example
 * createDocument({ …, paths: v1Paths({ modelName, card: cardSchema, … }) }, MESSAGES);
 */
export function v1Paths(o: Serving): ZodOpenApiPathsObject {
  const { refusals, asking } = o;
  const model = z.object({ model: o.modelName.meta({ description: "A name from `GET /v1/models`" }) });
  const json = (description: string, schema: z.ZodType) => ({
    description,
    headers: o.anyAnswer,
    content: { "application/json": { schema } },
  });
  return {
    "/v1/models": {
      get: {
        tags: ["Logits"],
        operationId: "listModels",
        summary: "The models and their cards",
        requestParams: { header: anyRequest },
        responses: { "200": json("All models, ready or not", o.list), ...refusals(asking) },
      },
    },
    "/v1/models/{model}": {
      get: {
        tags: ["Logits"],
        operationId: "showModel",
        summary: "A model's card",
        requestParams: { path: model, header: anyRequest },
        responses: {
          "200": json("The card", o.card),
          ...refusals([...asking, "unknown_model", "not_found"]),
        },
      },
    },
    "/v1/models/{model}/logits": {
      post: {
        tags: ["Logits"],
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
            headers: o.computedAnswer,
            content: { [MSGPACK_TYPE]: { schema: logitsAnswerSchema } },
          },
          ...o.refusedLogits(Object.keys(CODES) as ProblemCode[]),
        },
      },
    },
    "/v1/limits": {
      get: {
        tags: ["Logits"],
        operationId: "showLimits",
        summary: "What one request may be at most",
        requestParams: { header: anyRequest },
        responses: { "200": json("The limits", limitsSchema), ...refusals(asking) },
      },
    },
  };
}
