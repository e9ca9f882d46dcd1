/**
 * Who is asking, signed by the gateway for the teacher (HMAC-SHA256). The header is
 *
 *     v1.<payload>.<mac>
 *
 * where payload is base64url of the identity's JSON with a random `nonce`, and mac is base64url of
 * HMAC-SHA256(secret, "funmatch-identity-v1\n" + method + "\n" + path + "\n" + payload).
 * What is signed is the payload's text as it stands, and neither method nor path nor base64url holds a
 * newline, so two different requests never have the same signed text. The nonce tells two calls of the same
 * second apart: a retry is no replay.
 */
import * as z from "zod";
import { isDigest } from "./digest.ts";
import { isRequestId } from "./headers.ts";
import { WireError } from "./problem.ts";
import type { Purpose } from "./request.ts";

/** What the gateway vouches for. */
export interface Identity {
  /** The teacher that this is meant for; others refuse it. */
  audience: string;
  team: string;
  requestId: string;
  /** Unix time in seconds. */
  timestamp: number;
  purpose: Purpose;
  contentLength: number;
  /** The digest that the request claims, "" if none. */
  digest: string;
}

const LONGEST_HEADER = 4096;

const payloadSchema = z.strictObject({
  audience: z.string().min(1).max(256),
  team: z.string().min(1).max(256),
  requestId: z.string().refine(isRequestId, "expected 1 to 128 visible ASCII characters"),
  timestamp: z.number().nonnegative(),
  purpose: z.enum(["train", "eval"]),
  contentLength: z.int().nonnegative(),
  digest: z.string().refine((text) => text === "" || isDigest(text), "expected sha256:<64 hex digits>"),
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
});

/** Signs an identity for one request. Throws WireError `malformed` if a field could not be told apart. */
export async function signIdentity(
  secret: string,
  method: string,
  path: string,
  identity: Identity,
): Promise<string> {
  const nonce = Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) =>
    b.toString(16).padStart(2, "0"),
  );
  const checked = payloadSchema.safeParse({ ...identity, nonce: nonce.join("") });
  if (!checked.success) {
    const issue = checked.error.issues[0];
    throw new WireError("malformed", `identity.${issue?.path.join(".")}: ${issue?.message}`);
  }
  const payload = toBase64url(new TextEncoder().encode(JSON.stringify(checked.data)));
  const mac = await crypto.subtle.sign("HMAC", await keyOf(secret), signedText(method, path, payload));
  return `v1.${payload}.${toBase64url(new Uint8Array(mac))}`;
}

/**
 * Checks a header against the request it came with and returns the identity it proves. The caller still has
 * to hold `purpose` and `digest` against the request's head, and to keep replays out (replay.ts).
 * Throws WireError `unauthenticated` for anything else.
 */
export async function verifyIdentity(
  secret: string,
  method: string,
  path: string,
  header: string,
  expected: { audience: string; contentLength: number; nowSeconds: number; windowSeconds: number },
): Promise<Identity> {
  const { payload, mac } = partsOf(header);
  const key = await keyOf(secret);
  if (!(await crypto.subtle.verify("HMAC", key, mac, signedText(method, path, payload)))) {
    throw refused("the signature does not fit the request");
  }
  const parsed = payloadSchema.safeParse(parseJson(fromBase64url(payload)));
  if (!parsed.success) throw refused("the signed payload is not an identity");
  const { nonce: _nonce, ...identity } = parsed.data;
  if (identity.audience !== expected.audience) throw refused("it was signed for another service");
  if (identity.contentLength !== expected.contentLength) throw refused("it was signed for another body");
  const age = expected.nowSeconds - identity.timestamp;
  if (!(Math.abs(age) <= expected.windowSeconds)) {
    throw refused(`it was signed ${Math.round(age)} s ago, outside ${expected.windowSeconds} s`);
  }
  return identity;
}

function refused(why: string): WireError {
  return new WireError("unauthenticated", `identity: ${why}`);
}

function partsOf(header: string): { payload: string; mac: Uint8Array<ArrayBuffer> } {
  if (header.length > LONGEST_HEADER) throw refused(`longer than ${LONGEST_HEADER} characters`);
  const parts = /^v1\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})$/.exec(header);
  const [, payload, macText] = parts ?? [];
  if (payload === undefined || macText === undefined) throw refused("expected v1.<payload>.<mac>");
  const mac = fromBase64url(macText);
  // One way only to write a mac, because it is what a replay is known by.
  if (mac === undefined || toBase64url(mac) !== macText) throw refused("expected v1.<payload>.<mac>");
  return { payload, mac };
}

async function keyOf(secret: string): Promise<CryptoKey> {
  if (secret === "") throw new WireError("internal", "the secret that identities are signed with is empty");
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  return crypto.subtle.importKey("raw", new TextEncoder().encode(secret), algorithm, false, [
    "sign",
    "verify",
  ]);
}

function signedText(method: string, path: string, payload: string): BufferSource {
  if (!/^[A-Za-z]+$/.test(method) || !/^\/[\x21-\x7e]*$/.test(path)) {
    throw refused("method and path must be those of an HTTP request");
  }
  return new TextEncoder().encode(`funmatch-identity-v1\n${method.toUpperCase()}\n${path}\n${payload}`);
}

function toBase64url(bytes: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function fromBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function parseJson(bytes: Uint8Array<ArrayBuffer> | undefined): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
