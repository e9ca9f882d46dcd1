import { digestSchema, limitsSchema, logitsAnswerSchema, logitsRequestSchema } from "@funmatch/wire";
import { MESSAGES, v1Paths } from "@funmatch/wire/openapi";
import * as z from "zod";
import { createDocument } from "zod-openapi";
import { modelSchema } from "../names.ts";
import { administrationPaths } from "./administration.ts";
import { operationPaths } from "./operation.ts";
import { ownTeamPaths } from "./own-team.ts";
import { gatewayAnswer, gatewayLogits, mergedCardSchema, refused, refusedLogits } from "./serving.ts";

/** The OpenAPI 3.1 document of the gateway: of the teacher's API what it passes on, and what is its own. */
export const openApiDocument = createDocument(
  {
    openapi: "3.1.0",
    info: {
      title: "FunMatch gateway",
      version: "1",
      summary: "The public door to a teacher: keys, quotas, and answers to repeated evaluation calls",
      description:
        "Under `/v1/models` and `/v1/limits` it is the teacher's own API, asked under a team's key. " +
        "Errors are `application/problem+json` (RFC 9457) with a stable `code`. " +
        "The Open Inference Protocol (`/v2`) is the teacher's alone.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    tags: [
      { name: "Logits", description: "Asking a teacher" },
      { name: "Team", description: "What a team may know of itself" },
      { name: "Administration", description: "Teams, keys and quotas" },
      { name: "Operation", description: "Health and figures" },
    ],
    security: [{ key: [] }, { ciToken: [] }],
    paths: {
      ...v1Paths({
        ...{ modelName: modelSchema, card: mergedCardSchema },
        list: z.object({ models: z.array(mergedCardSchema) }),
        ...{ anyAnswer: gatewayAnswer, computedAnswer: gatewayLogits, refusals: refused, refusedLogits },
        asking: [
          ...(["unauthenticated", "forbidden", "internal"] as const),
          ...(["upstream_unreachable", "loading", "deadline_exceeded"] as const),
        ],
      }),
      ...ownTeamPaths,
      ...administrationPaths,
      ...operationPaths,
    },
    components: {
      schemas: {
        Card: mergedCardSchema,
        Limits: limitsSchema,
        LogitsRequest: logitsRequestSchema,
        LogitsAnswer: logitsAnswerSchema,
        Digest: digestSchema,
      },
      securitySchemes: {
        key: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "fm_<team>_<64 hex digits>",
          description: "A team's API key; its scopes are `train`, `eval` and `admin`",
        },
        ciToken: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "An OpenID Connect token of a CI system that the gateway's setting `OIDC` names",
        },
        bootstrap: {
          type: "http",
          scheme: "bearer",
          description: "`ADMIN_TOKEN`, which makes the first key with the scope `admin`",
        },
      },
    },
  },
  MESSAGES,
);
