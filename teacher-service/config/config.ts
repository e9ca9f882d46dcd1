import { dirname } from "node:path";
import { readConfig, resolvePath, secret, UserError } from "@funmatch/config";
import { z } from "zod";
import { batchingSchema, batchSizesSchema } from "./batching-config.ts";
import { bytes } from "./memory.ts";
import { type ModelConfig, modelSchema, resolveModel } from "./model-config.ts";
import { teamsSchema } from "./team-rules.ts";

const MiB = 2 ** 20;
const positive = z.int().positive();
/** Node's timers hold no more: a longer one would end at once. */
const MOST_MS = 2 ** 31 - 1;

/** What a model may be called, in the config and in addresses. */
export const modelName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/);

/** What `funmatch-teacher` is told: design.md's keys, and limits with defaults that suit one machine. */
export const teacherSchema = z.strictObject({
  listen: z
    .strictObject({
      host: z.string().min(1).default("127.0.0.1"),
      port: z.int().min(0).max(65535).default(8500),
    })
    .prefault({}),
  /** Bearer tokens; any one of them opens the API. */
  tokens: z.array(z.string().min(1)).default([]),
  /** File of teams' keys, one a line, `team: sha256:<hex>`; it is read again when it changes. */
  keys: z.string().min(1).optional(),
  /** The gateway's signature (`x-funmatch-identity`), accepted instead of a token. */
  identity: z
    .strictObject({
      secret: z.string().min(1),
      audience: z.string().min(1).default("funmatch-teacher"),
      windowSeconds: positive.max(3600).default(60),
    })
    .optional(),
  /** What each team may have of what they share; `*` for those not named. */
  teams: teamsSchema,
  models: z
    .record(modelName, modelSchema, {
      error: "expected models by name, made of letters, digits, dots, dashes and underscores",
    })
    .refine((models) => Object.keys(models).length > 0, "at least one model is needed"),
  limits: z
    .strictObject({
      maxBodyBytes: positive.default(64 * MiB),
      /** Images in one request; larger ones are cut by the client. */
      maxImages: positive.default(1024),
      /** Longest time that a request may take, and the time it gets when it asks for none. */
      timeoutMs: positive.max(MOST_MS).default(120_000),
      /** Image bytes held at once, arriving, waiting and being computed; beyond it requests are told to wait. */
      queueBytes: positive.default(512 * MiB),
    })
    .prefault({})
    .refine((limits) => limits.queueBytes >= limits.maxBodyBytes, {
      path: ["queueBytes"],
      message: "must be at least maxBodyBytes, or the largest request could never be taken",
    }),
  batchSizes: batchSizesSchema.default([1, 8, 16, 32, 64, 128]),
  batching: batchingSchema.prefault({}),
  /** Threads inside one operation of TensorFlow or ONNX Runtime; all cores by default. */
  threads: positive.max(1024).optional(),
  /** When models are loaded: all at start (`eager`), on their first use (`onUse`), or those named at start. */
  load: z
    .union([z.enum(["eager", "onUse"]), z.array(z.string().min(1))], {
      error: "expected eager, onUse, or a list of models to load at start",
    })
    .default("eager"),
  /** A model that nobody asked for so long is unloaded, and loaded again on its next use. Default: never. */
  unloadAfterSeconds: positive.optional(),
  /**
   * Resident memory that the process may take: where a model does not fit, the one that was not used for the longest
   * time is unloaded. Default: 80 % of the container's limit, or of the machine's memory.
   */
  memory: bytes.optional(),
  /** How long SIGTERM waits for what is in flight. */
  drainSeconds: positive.max(Math.floor(MOST_MS / 1000)).default(30),
  /** Spans for an OpenTelemetry collector (OTLP over HTTP); none by default. */
  tracing: z
    .strictObject({
      /** Its address, such as http://collector:4318. */
      endpoint: z.url({ protocol: /^https?$/, error: "expected an address such as http://collector:4318" }),
      /** Share of the requests that are told, of those whose caller has not decided. */
      sampleRatio: z.number().min(0).max(1).default(1),
    })
    .optional(),
  logLevel: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
});

/** As read: paths absolute, labels there. */
export type TeacherConfig = Omit<z.output<typeof teacherSchema>, "models"> & {
  models: Record<string, ModelConfig>;
};

/**
 * Reads a teacher's config; model paths come back absolute. Secrets stay as written: see {@link openSecrets}.
 *
 * @throws UserError naming the place and what would be right
 * @example const config = readTeacherConfig("teacher.yaml")
 */
export function readTeacherConfig(path: string): TeacherConfig {
  const config = readConfig(teacherSchema, path);
  const unknown = Array.isArray(config.load) && config.load.find((id) => !Object.hasOwn(config.models, id));
  if (unknown)
    throw new UserError(
      `${path}: load: there is no model "${unknown}"; there is ${Object.keys(config.models).join(", ")}`,
    );
  const models = Object.entries(config.models).map(([id, model]) => [id, resolveModel(model, path)]);
  const keys = config.keys && resolvePath(dirname(path), config.keys);
  return { ...config, ...(keys && { keys }), models: Object.fromEntries(models) };
}

/**
 * Puts the environment's values in place of `env:NAME`.
 *
 * @throws UserError when a variable is missing, or when anybody on the network could use the service
 */
export function openSecrets(config: TeacherConfig): TeacherConfig {
  if (config.tokens.length === 0 && !config.keys && !config.identity && !isLoopback(config.listen.host)) {
    throw new UserError(
      `listening on ${config.listen.host} needs tokens, keys or identity in the config; without them only 127.0.0.1, ::1 and localhost are allowed`,
    );
  }
  return {
    ...config,
    tokens: config.tokens.map(secret),
    identity: config.identity && { ...config.identity, secret: secret(config.identity.secret) },
  };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
