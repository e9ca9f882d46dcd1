import { WireError } from "@funmatch/wire";
import type { HonoJsonWebKey } from "hono/utils/jwt/jws";
import * as z from "zod";

/** Keys are believed this long; a token of an unknown key asks for them sooner. */
const FRESH_MS = 10 * 60_000;
/** Whoever makes up key names may not have the issuer asked more often than this. */
const ASK_AGAIN_MS = 10_000;
/** While the issuer is away its last keys are believed this long. */
const STALE_MS = 3_600_000;
const TIMEOUT_MS = 5000;
const MOST_BYTES = 512 * 1024;

const keySetSchema = z.object({
  keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional() })),
});
const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.url() });

interface KeySet {
  keys: HonoJsonWebKey[];
  fetchedAt: number;
  askedAt: number;
}

const known = new Map<string, KeySet>();

/**
 * The public keys of an issuer, fetched once in ten minutes and whenever a token names one that is not among them.
 *
 * @throws WireError `upstream_unreachable` if they cannot be had
 * @example
 * const keys = await signingKeys({ issuer: "https://token.actions.githubusercontent.com" }, "38826b17");
 */
export async function signingKeys(
  { issuer, jwksUri }: { issuer: string; jwksUri?: string | undefined },
  kid: unknown,
): Promise<HonoJsonWebKey[]> {
  const name = `${issuer} ${jwksUri ?? ""}`;
  const now = Date.now();
  const before = known.get(name) ?? { keys: [], fetchedAt: -Infinity, askedAt: -Infinity };
  const fresh = now - before.fetchedAt < FRESH_MS && before.keys.some((key) => key.kid === kid);
  if (fresh || now - before.askedAt < ASK_AGAIN_MS) return usable(before, now);
  try {
    const keys = await fetchKeys(issuer, jwksUri);
    known.set(name, { keys, fetchedAt: Date.now(), askedAt: Date.now() });
    return keys;
  } catch (error) {
    console.error(`the keys of ${issuer} cannot be had:`, error);
    known.set(name, { ...before, askedAt: Date.now() });
    return usable(before, now);
  }
}

function usable({ keys, fetchedAt }: KeySet, now: number): HonoJsonWebKey[] {
  if (now - fetchedAt < STALE_MS) return keys;
  throw new WireError("upstream_unreachable", "the keys of the token's issuer cannot be had just now", {
    status: 503,
    retryAfterSeconds: ASK_AGAIN_MS / 1000,
  });
}

async function fetchKeys(issuer: string, jwksUri?: string): Promise<HonoJsonWebKey[]> {
  const address = jwksUri ?? (await discover(issuer));
  return keySetSchema.parse(await readJson(address)).keys as HonoJsonWebKey[];
}

async function discover(issuer: string): Promise<string> {
  const told = discoverySchema.parse(
    await readJson(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`),
  );
  if (told.issuer !== issuer) throw new Error(`it calls itself ${told.issuer}`);
  if (new URL(told.jwks_uri).protocol !== new URL(issuer).protocol)
    throw new Error(`its keys are at ${told.jwks_uri}`);
  return told.jwks_uri;
}

async function readJson(address: string): Promise<unknown> {
  const answer = await fetch(address, { redirect: "manual", signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!answer.ok || answer.body === null) throw new Error(`${address} answers with status ${answer.status}`);
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of answer.body as ReadableStream<Uint8Array>) {
    size += part.length;
    if (size > MOST_BYTES) throw new Error(`${address} has more than ${MOST_BYTES} bytes`);
    parts.push(part);
  }
  return JSON.parse(await new Blob(parts as Uint8Array<ArrayBuffer>[]).text());
}
