import * as z from "zod";
import { hashKey, newKey } from "../identity/auth.ts";
import { modelSchema, SCOPES, teamSchema } from "../names.ts";
import type { KeyRecord, Platform } from "../platform.ts";

/** What a key is to allow. */
export const newKeySchema = z.strictObject({
  team: teamSchema,
  scopes: z.array(z.enum(SCOPES)).min(1),
  /** Left out: all models, also those that come later. */
  models: z.array(modelSchema).min(1).optional(),
  /** Left out: it opens doors until it is revoked. */
  expiresAt: z.iso
    .datetime({ offset: true, error: "must be a time such as 2027-01-31T12:00:00Z" })
    .refine((time) => Date.parse(time) > Date.now(), "must be in the future")
    .optional(),
});

export type NewKey = z.infer<typeof newKeySchema>;

/**
 * Makes a key and stores what it allows. The answer is the only place where the key itself ever stands.
 *
 * @param id under which it is stored; who sends the same form twice gets one key
 * @returns null if there is a key with that id
 * @example
 * const { key } = await makeKey(platform, { team: "clothing", scopes: ["train"] });
 */
export async function makeKey(
  { keys, settings }: Platform,
  { team, scopes, models, expiresAt }: NewKey,
  id: string = crypto.randomUUID(),
): Promise<(KeyRecord & { key: string }) | null> {
  const key = newKey(team);
  const record: KeyRecord = {
    id,
    team,
    scopes,
    models: models ?? null,
    createdAt: new Date().toISOString(),
    revokedAt: null,
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
    lastUsedAt: null,
  };
  const added = await keys.add(record, await hashKey(key, settings.keyPepper));
  return added ? { ...record, key } : null;
}
