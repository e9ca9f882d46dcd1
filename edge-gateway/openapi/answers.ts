/** What the gateway answers as JSON, as schemas for its document. */
import * as z from "zod";
import { modelSchema, SCOPES, teamSchema } from "../names.ts";
import type { KeyRecord } from "../platform.ts";
import { ownQuotaSchema, type Policy, quotaSchema } from "../quota/quota.ts";
import type { UsageRow } from "../quota/usage-table.ts";

const time = z.string().describe("ISO 8601, UTC");
const count = z.int().nonnegative();

export const keySchema = z.object({
  id: z.string(),
  team: teamSchema,
  scopes: z.array(z.enum(SCOPES)),
  models: z.array(modelSchema).nullable().describe("The models that it may ask; null: all."),
  createdAt: time,
  revokedAt: time.nullable(),
  expiresAt: time.nullable(),
  lastUsedAt: time.nullable().describe("To the minute; null: never used."),
}) satisfies z.ZodType<KeyRecord>;

const policySchema = z.object({
  name: z.enum(["minute", "in-flight", "month", "month-bytes"]),
  unit: z.enum(["images", "bytes"]),
  quota: count,
  remaining: z.number(),
  windowSeconds: z.number().optional(),
  resetSeconds: z.number().optional().describe("Until there is more of it."),
}) satisfies z.ZodType<Policy>;

export const teamQuotaSchema = z.object({
  team: teamSchema,
  quota: quotaSchema.describe("The quota that holds; null is as much as it likes."),
  policies: z.array(policySchema).describe("How each limit stands."),
});

export const standingSchema = teamQuotaSchema.extend({
  own: ownQuotaSchema.describe("What the team has of its own; the rest is the gateway's."),
});

export const usageRowSchema = z.object({
  hour: z.string().meta({ description: "UTC", examples: ["2026-11-30T23"] }),
  model: z.string(),
  purpose: z.enum(["train", "eval"]),
  calls: count.describe("Calls that were counted, a retry with its first."),
  images: count,
  bytes: count.describe("Bytes of the calls' bodies."),
  hits: count.describe("Of the calls, those answered from the store."),
  failures: count.describe("Calls that ended in an error and are counted nowhere else."),
}) satisfies z.ZodType<UsageRow>;
