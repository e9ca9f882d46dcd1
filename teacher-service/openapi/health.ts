import { cardSchema } from "@funmatch/wire";
import { anyAnswer, anyRequest, refusals } from "@funmatch/wire/openapi";
import { z } from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";

const NO_TOKEN = { tags: ["Operation"], security: [], requestParams: { header: anyRequest } };

const readiness = z.object({
  ready: z.boolean(),
  draining: z.boolean().describe("Whether the service takes its leave"),
  models: z.record(z.string(), cardSchema.shape.state),
});

const answer = (description: string, type: string, schema: z.ZodType) => ({
  description,
  headers: anyAnswer,
  content: { [type]: { schema } },
});

/** What an operator's tools ask; none of it needs a token. */
export const healthPaths: ZodOpenApiPathsObject = {
  "/healthz": {
    get: {
      ...NO_TOKEN,
      operationId: "isAlive",
      summary: "Whether the process answers",
      responses: {
        "200": answer("It does", "application/json", z.object({ status: z.literal("ok") })),
        ...refusals(["internal"]),
      },
    },
  },
  "/readyz": {
    get: {
      ...NO_TOKEN,
      operationId: "isReady",
      summary: "Whether requests are answered now",
      responses: {
        "200": answer("Ready", "application/json", readiness),
        "503": answer("Loading, or draining", "application/json", readiness),
        ...refusals(["internal"]),
      },
    },
  },
  "/metrics": {
    get: {
      ...NO_TOKEN,
      operationId: "metrics",
      summary: "Figures for Prometheus",
      responses: {
        "200": answer("In Prometheus's text format", "text/plain", z.string()),
        ...refusals(["internal"]),
      },
    },
  },
};
