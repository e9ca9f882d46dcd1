import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { timingSafeEqual } from "hono/utils/buffer";
import { type GatewayEnv, hashKey } from "../identity/auth.ts";
import type { Platform } from "../platform.ts";

/** Who looks at the page. */
export interface Viewer {
  /** Null for the bearer of ADMIN_TOKEN, who is of no team. */
  team: string | null;
  admin: boolean;
}

/** Hono's types for the page. */
export interface PageEnv {
  Bindings: Platform;
  /** `viewer` is there where nobody gets without being signed in. */
  Variables: GatewayEnv["Variables"] & { viewer: Viewer };
}

const SESSION_SECONDS = 8 * 3600;
/** In the place of a key's id: signed in with ADMIN_TOKEN. */
const BOOTSTRAP = "bootstrap";

/**
 * Exchanges a key, or ADMIN_TOKEN, for a session cookie. The cookie holds the key's id and when the session ends, under
 * a signature: it opens nothing but the page, and not longer than the key.
 *
 * @returns whether the key was right; every wrong one costs the same steps
 */
export async function signIn(c: Context<PageEnv>, key: string): Promise<boolean> {
  const { keys, settings } = c.env;
  const isBootstrap = await timingSafeEqual(key, settings.adminToken ?? "");
  const found = await keys.find(await hashKey(key, settings.keyPepper));
  const id = isBootstrap && settings.adminToken !== undefined ? BOOTSTRAP : found?.id;
  if (id === undefined) return false;
  const said = `${id}.${Math.floor(Date.now() / 1000) + SESSION_SECONDS}`;
  const secure = isSecure(c);
  setCookie(c, cookieName(secure), `${said}.${await signature(said, c.env)}`, {
    path: "/",
    httpOnly: true,
    sameSite: "Strict",
    secure,
    maxAge: SESSION_SECONDS,
  });
  return true;
}

/** Ends the session in this browser. */
export function signOut(c: Context<PageEnv>): void {
  const secure = isSecure(c);
  deleteCookie(c, cookieName(secure), { path: "/", secure });
}

/** Whose session the cookie is; null without one, when its time is over, and from the moment its key is revoked. */
export async function viewerOf(c: Context<PageEnv>): Promise<Viewer | null> {
  const [id, end, signed, ...more] = (getCookie(c, cookieName(isSecure(c))) ?? "").split(".");
  if (id === undefined || end === undefined || signed === undefined || more.length > 0) return null;
  if (!(await timingSafeEqual(signed, await signature(`${id}.${end}`, c.env)))) return null;
  if (!(Number(end) * 1000 > Date.now())) return null;
  if (id === BOOTSTRAP) return c.env.settings.adminToken === undefined ? null : { team: null, admin: true };
  const key = await c.env.keys.valid(id);
  return key && { team: key.team, admin: key.scopes.includes("admin") };
}

/** Under the pepper, and under ADMIN_TOKEN, so that changing either ends the sessions. No key begins like this. */
function signature(said: string, { settings }: Platform): Promise<string> {
  return hashKey(`page session ${said} ${settings.adminToken ?? ""}`, settings.keyPepper);
}

/** Browsers take a cookie of the first name only over TLS, and from this very host. */
function cookieName(secure: boolean): string {
  return secure ? "__Host-funmatch" : "funmatch";
}

/** Whether the browser came by TLS, also if a proxy ended it. Who lies about this only harms their own cookie. */
function isSecure(c: Context<PageEnv>): boolean {
  return new URL(c.req.url).protocol === "https:" || c.req.header("x-forwarded-proto") === "https";
}
