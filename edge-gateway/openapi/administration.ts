import type { ProblemCode } from "@funmatch/wire";
import { anyRequest } from "@funmatch/wire/openapi";
import * as z from "zod";
import type { ZodOpenApiOperationObject, ZodOpenApiPathsObject } from "zod-openapi";
import { newTeamSchema } from "../admin/admin-teams.ts";
import { newKeySchema } from "../admin/make-key.ts";
import { teamSchema } from "../names.ts";
import { ownQuotaSchema } from "../quota/quota.ts";
import { keySchema, standingSchema, usageRowSchema } from "./answers.ts";
import { hours, json, period } from "./own-team.ts";
import { gatewayAnswer, refused } from "./serving.ts";

/** A key with the scope admin, or the token that makes the first of them. */
export const ADMIN: NonNullable<ZodOpenApiOperationObject["security"]> = [
  { key: ["admin"] },
  { ciToken: ["admin"] },
  { bootstrap: [] },
];

const BY_ADMIN = { tags: ["Administration"], security: ADMIN } satisfies Partial<ZodOpenApiOperationObject>;
const ASKING: ProblemCode[] = ["unauthenticated", "forbidden", "internal", "loading"];
const TELLING: ProblemCode[] = [...ASKING, "malformed", "length_required", "too_large"];
const team = z.object({ team: teamSchema });
const body = (schema: z.ZodType) => ({ required: true, content: { "application/json": { schema } } });

/** Keys, teams and their quotas, for administrators. */
export const administrationPaths: ZodOpenApiPathsObject = {
  "/admin/keys": {
    get: {
      ...BY_ADMIN,
      operationId: "listKeys",
      summary: "All keys, without the keys",
      requestParams: { header: anyRequest },
      responses: {
        "200": json("The keys, oldest first", z.object({ keys: z.array(keySchema) })),
        ...refused(ASKING),
      },
    },
    post: {
      ...BY_ADMIN,
      operationId: "makeKey",
      summary: "Makes a key",
      requestParams: { header: anyRequest },
      requestBody: body(newKeySchema),
      responses: {
        "201": json("The key, told this once", keySchema.extend({ key: z.string() })),
        ...refused(TELLING),
      },
    },
  },
  "/admin/keys/{id}": {
    delete: {
      ...BY_ADMIN,
      operationId: "revokeKey",
      summary: "Revokes a key, everywhere within 3 seconds",
      requestParams: { path: z.object({ id: z.string() }), header: anyRequest },
      responses: {
        "204": { description: "It is revoked", headers: gatewayAnswer },
        ...refused([...ASKING, "not_found"]),
      },
    },
  },
  "/admin/teams": {
    get: {
      ...BY_ADMIN,
      operationId: "listTeams",
      summary: "All teams, and how they stand",
      requestParams: { header: anyRequest },
      responses: {
        "200": json("The teams, by name", z.object({ teams: z.array(standingSchema) })),
        ...refused(ASKING),
      },
    },
    post: {
      ...BY_ADMIN,
      operationId: "makeTeam",
      summary: "Makes a team before its first key",
      requestParams: { header: anyRequest },
      requestBody: body(newTeamSchema),
      responses: { "201": json("The team", standingSchema), ...refused(TELLING) },
    },
  },
  "/admin/teams/{team}/quota": {
    get: {
      ...BY_ADMIN,
      operationId: "showTeamQuota",
      summary: "A team's quota, and what is left of it",
      requestParams: { path: team, header: anyRequest },
      responses: { "200": json("The quota", standingSchema), ...refused([...ASKING, "not_found"]) },
    },
    put: {
      ...BY_ADMIN,
      operationId: "setTeamQuota",
      summary: "Sets a team's own quota; what it leaves out is the gateway's",
      requestParams: { path: team, header: anyRequest },
      requestBody: body(ownQuotaSchema),
      responses: { "200": json("The quota", standingSchema), ...refused([...TELLING, "not_found"]) },
    },
  },
  "/admin/usage": {
    get: {
      ...BY_ADMIN,
      operationId: "showAllUsage",
      summary: "What all teams used, by hour, model and purpose",
      requestParams: { query: period, header: anyRequest },
      responses: {
        "200": json(
          "The usage",
          z.object({ ...hours, usage: z.array(usageRowSchema.extend({ team: teamSchema })) }),
        ),
        ...refused([...ASKING, "malformed"]),
      },
    },
  },
};
