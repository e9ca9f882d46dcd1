import { Hono } from "hono";
import { exportJWK, generateKeyPair, type JWTHeaderParameters, SignJWT } from "jose";

/** What a test wants signed. */
export interface Wanted {
  claims: Record<string, unknown>;
  header?: Partial<JWTHeaderParameters>;
  /** Signs with a key that is not published, under the name of one that is. */
  forged?: boolean;
}

/**
 * A CI system's issuer of tokens as OpenID Connect has it: discovery, published keys, tokens signed by `jose`.
 *
 * `POST /token` signs what a test wants, `POST /rotate` begins a new key, `GET /asked` tells how often keys were asked.
 */
export function fakeIssuer(issuer: () => string): (request: Request) => Promise<Response> {
  const newKey = async (kid: string) => ({ kid, ...(await generateKeyPair("RS256", { extractable: true })) });
  let serial = 1;
  let current = newKey("1");
  let asked = 0;
  const app = new Hono();
  app.get("/.well-known/openid-configuration", (c) =>
    c.json({ issuer: issuer(), jwks_uri: `${issuer()}/keys` }),
  );
  app.get("/keys", async (c) => {
    asked++;
    const { kid, publicKey } = await current;
    return c.json({ keys: [{ ...(await exportJWK(publicKey)), kid, use: "sig", alg: "RS256" }] });
  });
  app.get("/asked", (c) => c.json(asked));
  app.post("/rotate", async (c) => {
    current = newKey(String(++serial));
    return c.body(null, 204);
  });
  app.post("/token", async (c) => {
    const { claims, header, forged } = (await c.req.json()) as Wanted;
    const { kid, privateKey } = await current;
    const key = forged === true ? (await newKey(kid)).privateKey : privateKey;
    const token = new SignJWT(claims).setProtectedHeader({ alg: "RS256", typ: "JWT", kid, ...header });
    return c.text(await token.sign(key));
  });
  return async (request) => app.fetch(request);
}
