import type { ProblemCode } from "@funmatch/wire";
import { anyRequest } from "@funmatch/wire/openapi";
import * as z from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { teamSchema } from "../names.ts";
import { keySchema, teamQuotaSchema, usageRowSchema } from "./answers.ts";
import { gatewayAnswer, refused } from "./serving.ts";

const ASKING: ProblemCode[] = ["unauthenticated", "internal", "loading"];

/** `from` and `to` of a question for usage. */
export const period = z.object({
  from: z
    .string()
    .optional()
    .meta({ description: "The first hour; a day ago unless told", examples: ["2026-11-01"] }),
  to: z
    .string()
    .optional()
    .meta({ description: "The hour before which it ends; now unless told", examples: ["2026-12-01"] }),
});

/** An answer in JSON. */
export const json = (description: string, schema: z.ZodType) => ({
  description,
  headers: gatewayAnswer,
  content: { "application/json": { schema } },
});

/** The hours that an answer is about. */
export const hours = { from: z.string(), to: z.string() };

/** What a team may know of itself. */
export const ownTeamPaths: ZodOpenApiPathsObject = {
  "/v1/quota": {
    get: {
      tags: ["Team"],
      operationId: "showQuota",
      summary: "What the team may use, and what is left of it",
      requestParams: { header: anyRequest },
      responses: { "200": json("The quota", teamQuotaSchema), ...refused(ASKING) },
    },
  },
  "/v1/usage": {
    get: {
      tags: ["Team"],
      operationId: "showUsage",
      summary: "What the team used, by hour, model and purpose",
      requestParams: { query: period, header: anyRequest },
      responses: {
        "200": json("The usage", z.object({ team: teamSchema, ...hours, usage: z.array(usageRowSchema) })),
        ...refused([...ASKING, "malformed"]),
      },
    },
  },
  "/v1/keys": {
    get: {
      tags: ["Team"],
      operationId: "listOwnKeys",
      summary: "The team's keys, without the keys",
      requestParams: { header: anyRequest },
      responses: {
        "200": json("The keys, oldest first", z.object({ team: teamSchema, keys: z.array(keySchema) })),
        ...refused(ASKING),
      },
    },
  },
};
