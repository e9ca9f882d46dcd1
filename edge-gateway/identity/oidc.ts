import { WireError } from "@funmatch/wire";
import { decode, verifyWithJwks } from "hono/jwt";
import * as z from "zod";
import { modelSchema, SCOPES, teamSchema } from "../names.ts";
import { signingKeys } from "./issuer-keys.ts";

/** Algorithms that tokens may be signed with: asymmetric ones only, so a public key is never taken for a secret. */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;

const claimSchema = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);

/** Whoever sits between us and the issuer could hand us keys of their own. */
const secureUrl = z.url().refine(isSecure, "must be https (http for this machine only)");

/** Whose tokens are believed, and what they allow. */
export const issuerSchema = z.strictObject({
  /** As in the tokens' `iss`. Its keys are found by way of its /.well-known/openid-configuration, */
  issuer: secureUrl,
  /** or here, if it has none. */
  jwksUri: secureUrl.optional(),
  /** A token's `aud` must be or hold this: one that was made for another service is not taken. */
  audience: z.string().min(1),
  algorithms: z.array(z.enum(ALGORITHMS)).min(1).default(["RS256"]),
  /** The first whose claims a token has is what it may do. A text that ends in * stands for all that begin so. */
  grants: z
    .array(
      z.strictObject({
        claims: z
          .record(z.string(), claimSchema)
          .refine(
            (claims) => Object.keys(claims).length > 0,
            "needs a claim, or every token of the issuer gets in",
          ),
        team: teamSchema,
        scopes: z.array(z.enum(SCOPES)).min(1),
        models: z.array(modelSchema).min(1).optional(),
      }),
    )
    .min(1),
});

export type Issuer = z.infer<typeof issuerSchema>;
export type Grant = Issuer["grants"][number];

/** Why a token is refused, by the name of Hono's error. */
const REASONS: Record<string, string> = {
  JwtTokenExpired: "it has expired",
  JwtTokenNotBefore: "it is not valid yet",
  JwtTokenIssuedAt: "it was issued in the future",
  JwtTokenAudience: "it is for another audience",
  JwtPayloadRequiresAud: "it has no audience",
  JwtAlgorithmNotAllowed: "its algorithm is not one that its issuer may use here",
  JwtSymmetricAlgorithmNotAllowed: "its algorithm is not one that its issuer may use here",
  JwtHeaderRequiresKid: "it does not name its key (kid)",
  JwtTokenSignatureMismatched: "its signature does not fit",
};

/** What a token proves, and until when (in milliseconds). */
export interface Proven {
  grant: Grant;
  until: number;
}

/** Whether a bearer token has the form of a JWT. */
export function looksLikeJwt(token: string): boolean {
  return token.length <= 16_384 && /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/.test(token);
}

/**
 * Checks a token of a CI system: signature, algorithm, `iss`, `aud`, `exp` and `nbf`, and what its claims are granted.
 *
 * @throws WireError `unauthenticated` saying why, `forbidden` if it is good but is granted nothing, `upstream_unreachable`
 *   if the issuer's keys cannot be had
 * @example
 * const { grant } = await proveToken(token, settings.oidc);   // { team: "vision", scopes: ["train"], … }
 */
export async function proveToken(token: string, issuers: readonly Issuer[]): Promise<Proven> {
  const { kid, iss } = claimed(token);
  const issuer = issuers.find((one) => one.issuer === iss);
  if (issuer === undefined) throw refused("its issuer is not one that is believed here");
  const keys = await signingKeys(issuer, kid);
  const payload = await verifyWithJwks(token, {
    keys,
    allowedAlgorithms: issuer.algorithms,
    verification: { iss: issuer.issuer, aud: issuer.audience },
  }).catch((error: unknown) => {
    throw refused(REASONS[(error as Error).name] ?? "it is not one of its issuer");
  });
  if (payload.exp === undefined) throw refused("it does not say when it expires (exp)");
  const grant = issuer.grants.find(({ claims }) =>
    Object.entries(claims).every(([name, wanted]) =>
      [payload[name]].flat().some((claim) => [wanted].flat().some((one) => fits(claim, one))),
    ),
  );
  if (grant === undefined) {
    throw new WireError("forbidden", "this token is good, but none of the gateway's grants fits its claims");
  }
  return { grant, until: payload.exp * 1000 };
}

function fits(claim: unknown, wanted: string): boolean {
  if (typeof claim !== "string") return typeof claim === "boolean" && String(claim) === wanted;
  return wanted.endsWith("*") ? claim.startsWith(wanted.slice(0, -1)) : claim === wanted;
}

/** What a token says of itself, not yet believed: it only tells whose keys to hold it against. */
function claimed(token: string): { kid: unknown; iss: unknown } {
  try {
    const { header, payload } = decode(token);
    return { kid: (header as { kid?: unknown }).kid, iss: payload.iss };
  } catch {
    throw refused("it cannot be read");
  }
}

function refused(why: string): WireError {
  return new WireError("unauthenticated", `the token is not accepted: ${why}`);
}

function isSecure(text: string): boolean {
  const { protocol, hostname } = new URL(text);
  const here = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  return protocol === "https:" || (protocol === "http:" && here);
}
