import {
  cardSchema,
  digestSchema,
  limitsSchema,
  logitsAnswerSchema,
  logitsRequestSchema,
  modelListSchema,
} from "@funmatch/wire";
import { anyAnswer, computedAnswer, MESSAGES, refusals, v1Paths } from "@funmatch/wire/openapi";
import { createDocument } from "zod-openapi";
import { modelName } from "../config/config.ts";
import { healthPaths } from "./health.ts";
import { v2Paths } from "./v2.ts";

/** The OpenAPI 3.1 document of the service, made from the schemas of its messages; it takes some 50 ms. */
export const openApiDocument = createDocument(
  {
    openapi: "3.1.0",
    info: {
      title: "FunMatch teacher",
      version: "1",
      summary: "Logits of image batches, with proof of which bytes they belong to",
      description:
        "Errors are `application/problem+json` (RFC 9457) with a stable `code`. " +
        "Batches and logits are msgpack, so that pixels travel as they are.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    tags: [
      { name: "Logits", description: "Asking a teacher" },
      {
        name: "Open Inference Protocol",
        description:
          "The same teachers for clients of Triton and KServe; refusals have the protocol's own form",
      },
      { name: "Operation", description: "Health and figures; keep them off the public net" },
    ],
    security: [{ bearer: [] }],
    paths: {
      ...v1Paths({
        ...{ modelName, card: cardSchema, list: modelListSchema, anyAnswer, computedAnswer },
        ...{ refusals, refusedLogits: refusals },
        asking: ["unauthenticated", "forbidden", "internal", "loading"],
      }),
      ...v2Paths,
      ...healthPaths,
    },
    components: {
      schemas: {
        Card: cardSchema,
        Limits: limitsSchema,
        LogitsRequest: logitsRequestSchema,
        LogitsAnswer: logitsAnswerSchema,
        Digest: digestSchema,
      },
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "A token of the service, or a team's key where a gateway stands before it",
        },
      },
    },
  },
  MESSAGES,
);
