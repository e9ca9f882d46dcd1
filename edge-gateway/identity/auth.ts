import { type Purpose, WireError } from "@funmatch/wire";
import type { MiddlewareHandler } from "hono";
import { timingSafeEqual } from "hono/utils/buffer";
import { MODEL, type Scope } from "../names.ts";
import type { KeyRecord, Platform } from "../platform.ts";
import { looksLikeJwt, proveToken } from "./oidc.ts";

/** Who is calling: what their key says of them. */
export type Caller = Pick<KeyRecord, "team" | "scopes" | "models">;

/** Hono's types for the gateway: the platform as bindings, the request's id and caller as variables. */
export interface GatewayEnv {
  Bindings: Platform;
  Variables: {
    requestId: string;
    caller: Caller;
    rateLimit?: Record<string, string>;
    /** What a logits call asks for, once its head was read and its key allows it. */
    asked?: { model: string; purpose: Purpose; images: number; bytes: number };
  };
}

const KEY = /^fm_[a-z0-9-]{1,40}_[0-9a-f]{64}$/;

/** A found key is believed this long without asking again, so a revoked one works at most this much longer. */
const BELIEVED_MS = 3000;
const MOST_BELIEVED = 1000;
const believed = new Map<string, Known>();

/**
 * Makes a new key of a team: 256 random bits.
 *
 * @example
 * newKey("clothing");   // "fm_clothing_9f86d081…"
 */
export function newKey(team: string): string {
  return `fm_${team}_${hex(crypto.getRandomValues(new Uint8Array(32)))}`;
}

/**
 * The form in which a key is stored: HMAC-SHA-256 under the pepper. Keys are random, so a slow hash would add nothing.
 *
 * @example
 * await hashKey("fm_clothing_9f86d081…", settings.keyPepper);   // 64 hex digits
 */
export async function hashKey(key: string, pepper: string): Promise<string> {
  const bytes = new TextEncoder();
  const secret = await crypto.subtle.importKey(
    "raw",
    bytes.encode(pepper),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  return hex(new Uint8Array(await crypto.subtle.sign("HMAC", secret, bytes.encode(key))));
}

/**
 * Middleware: lets nobody past without a key, and tells the routes whose it is (`c.var.caller`).
 *
 * @throws WireError `unauthenticated`
 * @example
 * app.use("/v1/*", authenticate);
 */
export const authenticate: MiddlewareHandler<GatewayEnv> = async (c, next) => {
  c.set("caller", await callerOf(bearer(c.req.header("authorization")), c.env));
  await next();
};

/**
 * Middleware: lets past a key with the scope `admin`, or the bootstrap token ADMIN_TOKEN.
 *
 * @throws WireError `unauthenticated` or `forbidden`
 */
export const administer: MiddlewareHandler<GatewayEnv> = async (c, next) => {
  const token = bearer(c.req.header("authorization"));
  const { adminToken } = c.env.settings;
  if (adminToken === undefined || !(await timingSafeEqual(token, adminToken))) {
    requireScope(await callerOf(token, c.env), "admin");
  }
  await next();
};

/** @throws WireError `forbidden` unless the caller's key has this scope */
export function requireScope(caller: Caller, scope: Scope): void {
  if (!caller.scopes.includes(scope)) {
    throw new WireError(
      "forbidden",
      `these credentials have the scopes ${caller.scopes.join(", ")}, the call needs ${scope}`,
    );
  }
}

/** Whether the caller's key may ask this model. */
export function mayAsk(caller: Caller, model: string): boolean {
  return caller.models === null || caller.models.includes(model);
}

/** @throws WireError `unknown_model` if no model can be called that, `forbidden` unless the caller's key may ask it */
export function requireModel(caller: Caller, model: string): void {
  if (!MODEL.test(model)) throw new WireError("unknown_model", `no model is called ${JSON.stringify(model)}`);
  if (!mayAsk(caller, model))
    throw new WireError("forbidden", `these credentials may not ask the model ${model}`);
}

/** Drops what this isolate believes of keys; called when one is revoked here. */
export function forgetCallers(): void {
  believed.clear();
}

function bearer(header: string | undefined): string {
  const token = header?.match(/^Bearer +(\S+) *$/i)?.[1];
  if (token === undefined) {
    throw new WireError("unauthenticated", 'send your key as "authorization: Bearer fm_<team>_…"');
  }
  return token;
}

/** Who a bearer token stands for: a key, or a token of a CI system. */
async function callerOf(token: string, platform: Platform): Promise<Caller> {
  const { oidc, keyPepper } = platform.settings;
  const isKey = KEY.test(token);
  if (!isKey && !(oidc.length > 0 && looksLikeJwt(token)))
    throw new WireError("unauthenticated", "this is not a key of the form fm_<team>_<64 hex digits>");
  const hash = await hashKey(token, keyPepper);
  const known = believed.get(hash);
  if (known !== undefined && known.until > Date.now()) return known.caller;
  believed.delete(hash);
  const { caller, until } = await (isKey ? callerOfKey(hash, platform) : callerOfToken(token, platform));
  if (believed.size >= MOST_BELIEVED) believed.clear();
  believed.set(hash, { caller, until: Math.min(Date.now() + BELIEVED_MS, until) });
  return caller;
}

/** Somebody, and until when (in milliseconds). */
interface Known {
  caller: Caller;
  until: number;
}

async function callerOfKey(hash: string, { keys }: Platform): Promise<Known> {
  const found = await keys.find(hash);
  if (found === null) throw new WireError("unauthenticated", "this key is unknown, revoked or expired");
  const { team, scopes, models, expiresAt } = found;
  const caller: Caller = { team, scopes: [...scopes], models: models && [...models] };
  return { caller, until: expiresAt === null ? Infinity : Date.parse(expiresAt) };
}

async function callerOfToken(token: string, { settings }: Platform): Promise<Known> {
  const { grant, until } = await proveToken(token, settings.oidc);
  const { team, scopes, models = null } = grant;
  return { caller: { team, scopes, models }, until };
}

const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
