import { createHash, timingSafeEqual } from "node:crypto";
import { type Identity, type Purpose, replayWindow, verifyIdentity, WireError } from "@funmatch/wire";
import type { Keys } from "./key-file.ts";

/** Who asks: the gateway's or the key's team, or "local" for a token and for a service that is open on loopback. */
export interface Caller {
  readonly team: string;
  /** What the gateway signed; absent for a bearer token. */
  readonly identity?: Identity;
}

/** What of a request counts for who may ask. */
export interface Credentials {
  readonly method: string;
  /** With its query, as signed. */
  readonly path: string;
  readonly contentLength: number;
  readonly authorization?: string;
  readonly identity?: string;
}

export type Authenticate = (request: Credentials) => Promise<Caller>;

/**
 * Lets in a bearer of any of the tokens or of a team's key, and whoever the gateway vouches for; one suffices. With
 * none of them configured everybody is let in.
 *
 * What was signed before this function was called is refused, since another process may have admitted it: the memory
 * of used signatures does not outlive a process.
 *
 * @returns a function that gives the caller or throws WireError `unauthenticated`
 */
export function openAuth(o: {
  tokens: readonly string[];
  keys?: Keys;
  identity?: { secret: string; audience: string; windowSeconds: number };
}): Authenticate {
  const openedSeconds = Date.now() / 1000;
  const tokens = o.tokens.map(sha256);
  const replays = o.identity && replayWindow(o.identity.windowSeconds);
  return async (request) => {
    if (tokens.length === 0 && !o.keys && !o.identity) return { team: "local" };
    if (request.identity !== undefined && o.identity && replays) {
      const nowSeconds = Date.now() / 1000;
      const identity = await verifyIdentity(
        o.identity.secret,
        request.method,
        request.path,
        request.identity,
        {
          audience: o.identity.audience,
          contentLength: request.contentLength,
          nowSeconds,
          windowSeconds: o.identity.windowSeconds,
        },
      );
      if (identity.timestamp < openedSeconds)
        throw new WireError("loading", "identity: it was signed before this service started; sign it anew", {
          retryAfterSeconds: openedSeconds - identity.timestamp,
        });
      replays.admit(request.identity, nowSeconds);
      return { team: identity.team, identity };
    }
    const [scheme, token] = request.authorization?.split(/ +/, 2) ?? [];
    if (scheme?.toLowerCase() === "bearer" && token) {
      const team = o.keys?.teamOf(token) ?? (isOneOf(tokens, sha256(token)) ? "local" : undefined);
      if (team !== undefined) return { team };
    }
    throw new WireError(
      "unauthenticated",
      request.authorization
        ? "the bearer token is not one of this service's"
        : "send authorization: Bearer <token>",
    );
  };
}

/** Refuses a request whose head is not the one that the gateway signed for. */
export function checkSigned(caller: Caller, head: { purpose: Purpose; digest?: string }): void {
  const signed = caller.identity;
  if (!signed) return;
  if (signed.purpose !== head.purpose || signed.digest !== (head.digest ?? ""))
    throw new WireError("forbidden", "the body's purpose or digest is not the one that the gateway signed");
}

/** Compares with every token in constant time, so that timing tells neither which nor how much matched. */
function isOneOf(tokens: readonly Buffer[], given: Buffer): boolean {
  return tokens.reduce((found, token) => timingSafeEqual(token, given) || found, false);
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
