import * as z from "zod";

/** What a model may be called. It becomes part of the teacher's address, so "..", say, is none. */
export const MODEL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const model = z.string().regex(MODEL, "must be the name of a model");

const secret = z.string().min(16, "must have at least 16 characters");

const settingsSchema = z
  .object({
    TEACHER_URL: z.url({ protocol: /^https?$/ }),
    TEACHER_SECRET: secret,
    AUDIENCE: z.string().min(1),
    KEY_PEPPER: secret,
    ADMIN_TOKEN: secret.optional(),
    MAX_BODY_BYTES: z.coerce.number().int().positive().default(100_000_000),
  })
  .transform((vars) => ({
    /** Where the teacher service answers, without a slash at the end. */
    teacherUrl: vars.TEACHER_URL.replace(/\/+$/, ""),
    /** Shared with the teacher: signs every call to it. */
    teacherSecret: vars.TEACHER_SECRET,
    /** The teacher's name in signatures: a call signed for one teacher is worthless at another. */
    audience: vars.AUDIENCE,
    /** Mixed into every stored key hash: a stolen key table alone lets nobody in. */
    keyPepper: vars.KEY_PEPPER,
    /** Lets its bearer make and revoke keys; left out once an admin key exists. */
    adminToken: vars.ADMIN_TOKEN,
    /** Largest body taken; 100 MB is what the small Cloudflare plans let through. */
    maxBodyBytes: vars.MAX_BODY_BYTES,
  }));

export type Settings = z.infer<typeof settingsSchema>;

/** Raised when variables or secrets are missing or wrong; the message names each of them. */
export class SettingsError extends Error {}

/**
 * Reads the gateway's settings from its environment.
 *
 * @throws SettingsError naming every setting that is missing or wrong
 * @example
 * const settings = readSettings({ TEACHER_URL: "https://teacher.example", AUDIENCE: "prof", TEACHER_SECRET, KEY_PEPPER });
 */
export function readSettings(environment: Readonly<Record<string, unknown>>): Settings {
  const read = settingsSchema.safeParse(environment);
  if (read.success) return read.data;
  const wrong = read.error.issues.map(
    ({ path, message }) =>
      `${path.join(".")} ${environment[String(path[0])] === undefined ? "is missing" : message}`,
  );
  throw new SettingsError(`the gateway is not set up: ${wrong.join("; ")} (see docs/gateway.md)`);
}
