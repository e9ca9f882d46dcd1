import type * as z from "zod";
import { type NewKey, newKeySchema } from "../admin/make-key.ts";
import { type OwnQuota, ownQuotaSchema } from "../quota/quota.ts";
import { LIMITS, NO_LIMIT } from "./admin-forms.ts";
import { field } from "./form-body.ts";

/** What a form asks for, or what is wrong with it in plain words. */
export type Read<T> = { asked: T } | { wrong: string[] };

/** The quota that a form asks for: an empty field leaves the limit to the gateway. */
export function readQuota(form: URLSearchParams): Read<OwnQuota> {
  const quota: OwnQuota = {};
  for (const { name } of LIMITS) {
    // Whoever writes 50,000,000 means it.
    const text = field(form, name).replace(/[\s,_']/g, "");
    if (text === "") continue;
    const digits = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    quota[name] = text.toLowerCase() === NO_LIMIT ? null : digits;
  }
  const read = ownQuotaSchema.safeParse(quota);
  if (read.success) return { asked: read.data };
  return {
    wrong: LIMITS.filter(({ name }) => read.error.issues.some(({ path }) => path[0] === name)).map(
      ({ name, label }) =>
        `${label} is ${JSON.stringify(field(form, name))}; it must be a whole number above 0, "${NO_LIMIT}", or empty.`,
    ),
  };
}

const KEY_FIELDS: Record<string, string> = {
  scopes: "What it is for: choose at least one.",
  models: "Models: names such as prof, with commas between them.",
  expiresAt: "Last day: a day that is not over yet, such as 2027-01-31.",
};

/** The key that a form asks for. */
export function readNewKey(team: string, form: URLSearchParams): Read<NewKey> {
  const models = field(form, "models")
    .split(/[\s,]+/)
    .filter(Boolean);
  const ends = field(form, "ends");
  const read = newKeySchema.safeParse({
    team,
    scopes: form.getAll("scopes"),
    ...(models.length > 0 && { models }),
    // Its last day is a whole one.
    ...(ends !== "" && { expiresAt: `${ends}T23:59:59Z` }),
  });
  if (read.success) return { asked: read.data };
  return { wrong: [...new Set(read.error.issues.map(placeOf))] };
}

function placeOf({ path, message }: z.core.$ZodIssue): string {
  return KEY_FIELDS[String(path[0])] ?? message;
}
