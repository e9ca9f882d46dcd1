import { dirname } from "node:path";
import { readConfig, resolvePath, secret, UserError } from "@funmatch/config";
import { z } from "zod";
import { settingsSchema } from "./settings.ts";

const { teacherSecret, keyPepper, adminToken } = settingsSchema.shape;

/** `env:NAME`, or the secret itself. */
const read = <T extends z.ZodType<unknown, string | undefined>>(schema: T) =>
  z
    .string()
    .transform((text) => secret(text))
    .pipe(schema as unknown as z.ZodType<z.output<T>, string>);

/** What `funmatch-gateway serve` is told: the gateway's settings, and where it listens and keeps its state. */
export const gatewaySchema = settingsSchema.extend({
  teacherSecret: read(teacherSecret),
  keyPepper: read(keyPepper),
  adminToken: read(adminToken.unwrap()).optional(),
  listen: z
    .strictObject({
      host: z.string().min(1).default("127.0.0.1"),
      port: z.int().min(0).max(65535).default(8787),
    })
    .prefault({}),
  /** The folder of the SQLite files. */
  stateDir: z.string().min(1).default("gateway-state"),
  /** How long SIGTERM waits for calls that are being answered. */
  drainSeconds: z.int().positive().default(30),
});

export type GatewayConfig = z.output<typeof gatewaySchema>;

/**
 * Reads the Node build's config; `env:NAME` is replaced, paths come back absolute.
 *
 * @throws UserError naming the place and what would be right
 * @example const config = readGatewayConfig("gateway.yaml")
 */
export function readGatewayConfig(path: string): GatewayConfig {
  const config = readConfig(gatewaySchema, path);
  if (config.teacherUrl === undefined && config.teachers === undefined)
    throw new UserError(`${path}: teacherUrl is missing: where the teacher service answers`);
  return { ...config, stateDir: resolvePath(dirname(path), config.stateDir) };
}
