import { anyRequest } from "@funmatch/wire/openapi";
import * as z from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { ADMIN } from "./administration.ts";
import { json } from "./own-team.ts";
import { gatewayAnswer, refused } from "./serving.ts";

const OPEN = { tags: ["Operation"], security: [], requestParams: { header: anyRequest } };

/** What an operator's tools ask. */
export const operationPaths: ZodOpenApiPathsObject = {
  "/healthz": {
    get: {
      ...OPEN,
      operationId: "isAlive",
      summary: "Whether the gateway answers",
      responses: { "200": json("It does", z.object({ status: z.literal("ok") })), ...refused(["internal"]) },
    },
  },
  "/readyz": {
    get: {
      ...OPEN,
      operationId: "isReady",
      summary: "Whether a teacher would answer a call now, as known within the second",
      responses: {
        "200": json("One would", z.object({ status: z.literal("ready") })),
        ...refused(["internal", "upstream_unreachable", "loading", "deadline_exceeded"]),
      },
    },
  },
  "/metrics": {
    get: {
      ...OPEN,
      security: ADMIN,
      operationId: "metrics",
      summary: "Figures for Prometheus, of this process and of all teams",
      responses: {
        "200": {
          description: "In Prometheus's text format",
          headers: gatewayAnswer,
          content: { "text/plain": { schema: z.string() } },
        },
        ...refused(["unauthenticated", "forbidden", "internal", "loading"]),
      },
    },
  },
};
