import {
  cardSchema,
  digestSchema,
  limitsSchema,
  logitsAnswerSchema,
  logitsRequestSchema,
} from "@funmatch/wire";
import { createDocument } from "zod-openapi";
import { healthPaths } from "./health.ts";
import { v1Paths } from "./v1.ts";
import { v2Paths } from "./v2.ts";

/** Pixels and logits inside a msgpack map: bytes, not text. */
const BYTES = { type: "string", format: "binary", contentMediaType: "application/octet-stream" } as const;

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
    paths: { ...v1Paths, ...v2Paths, ...healthPaths },
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
  {
    allowEmptySchema: { custom: true },
    override({ zodSchema, jsonSchema }) {
      const { def } = zodSchema._zod;
      // The only instances in messages are byte arrays.
      if (def.type === "custom") Object.assign(jsonSchema, BYTES);
      if (def.type === "tuple") asList(jsonSchema);
      // Later versions may tell more: whoever reads passes over what he does not know.
      if (def.type === "object" && !("catchall" in def && def.catchall))
        delete jsonSchema.additionalProperties;
    },
  },
);

/** A tuple of equal members as a list of that length, which more tools understand. */
function asList(schema: { prefixItems?: unknown[]; items?: unknown }): void {
  const [first, ...others] = schema.prefixItems?.map((item) => JSON.stringify(item)) ?? [];
  if (first === undefined || others.some((other) => other !== first)) return;
  schema.items = schema.prefixItems?.[0];
  delete schema.prefixItems;
}
