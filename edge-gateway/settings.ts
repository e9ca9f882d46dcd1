import * as z from "zod";
import { issuerSchema } from "./identity/oidc.ts";
import { modelSchema } from "./names.ts";
import { quotaSchema } from "./quota/quota.ts";

const url = z.url({ protocol: /^https?$/ }).transform((text) => text.replace(/\/+$/, ""));

const secret = z.string().min(16, "must have at least 16 characters");

/**
 * What a gateway is told, wherever it runs. A config file of the Node build holds these keys as they are; a Worker has
 * each as a variable or secret in capitals: `teacherUrl` is TEACHER_URL. What is not text is JSON there.
 */
export const settingsSchema = z.strictObject({
  /** Where the teacher service answers, if there is one. */
  teacherUrl: url.optional(),
  /** Several of them, in place of `teacherUrl`. The first that has a model ready leads: its version is the model's. */
  teachers: z
    .array(
      z.strictObject({
        url,
        /** Its own name in signatures; left out, that of all. */
        audience: z.string().min(1).optional(),
        /** The models that it is asked for; left out, all that it has. */
        models: z.array(modelSchema).min(1).optional(),
      }),
    )
    .min(1)
    .optional(),
  /** Shared with the teacher: signs every call to it. */
  teacherSecret: secret,
  /** The teacher's name in signatures: a call signed for one teacher is worthless at another. */
  audience: z.string().min(1).default("funmatch-teacher"),
  /** Mixed into every stored key hash: a stolen key table alone lets nobody in. */
  keyPepper: secret,
  /** Lets its bearer make and revoke keys; left out once an admin key exists. */
  adminToken: secret.optional(),
  /** Largest body taken; 100 MB is what the small Cloudflare plans let through. */
  maxBodyBytes: z.int().positive().default(100_000_000),
  /** What every team may use that has no quota of its own. */
  quota: quotaSchema.prefault({}),
  /** CI systems whose tokens are taken for keys. */
  oidc: z.array(issuerSchema).default([]),
  /** Models whose stored answers all teams share that may ask them. */
  sharedModels: z.array(modelSchema).default([]),
  /** How long an answer to an evaluation call is stored. */
  evalCacheSeconds: z
    .int()
    .min(60)
    .default(30 * 24 * 3600),
});

export type Settings = z.infer<typeof settingsSchema>;

/** Raised when variables or secrets are missing or wrong; the message names each of them. */
export class SettingsError extends Error {}

/**
 * Reads the gateway's settings from a Worker's variables.
 *
 * @throws SettingsError naming every setting that is missing or wrong
 * @example
 * const settings = readSettings({ TEACHER_URL: "https://teacher.example", AUDIENCE: "prof", TEACHER_SECRET, KEY_PEPPER });
 */
export function readSettings(environment: Readonly<Record<string, unknown>>): Settings {
  const told = Object.entries(settingsSchema.shape).flatMap(([key, schema]) => {
    const value = environment[variableOf(key)];
    return value === undefined ? [] : [[key, schema.safeParse(value).success ? value : fromJson(value)]];
  });
  const read = settingsSchema.safeParse(Object.fromEntries(told));
  if (read.success) return requireTeacher(read.data);
  const wrong = read.error.issues.map(({ path: [key, ...place], message }) => {
    const variable = variableOf(String(key));
    if (environment[variable] === undefined) return `${variable} is missing`;
    return `${[variable, ...place].join(".")} ${message}`;
  });
  throw new SettingsError(`the gateway is not set up: ${wrong.join("; ")} (see docs/gateway.md)`);
}

/**
 * @returns the settings
 * @throws SettingsError if they name no teacher
 */
function requireTeacher<T extends Pick<Settings, "teacherUrl" | "teachers">>(settings: T): T {
  if (settings.teacherUrl !== undefined || settings.teachers !== undefined) return settings;
  throw new SettingsError("the gateway is not set up: TEACHER_URL is missing (see docs/gateway.md)");
}

/** How a Worker calls a setting. */
function variableOf(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

function fromJson(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
