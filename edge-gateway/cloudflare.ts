import type { Keys } from "./keys.ts";
import type { AnswerStore, Platform } from "./platform.ts";
import { readSettings } from "./settings.ts";

/** What wrangler.toml binds, beside the settings. */
export interface Bindings {
  EVAL_CACHE: KVNamespace;
  KEYS: DurableObjectNamespace<Keys>;
}

/** An answer that nobody asked for in this time is not worth its place. */
const KEEP_SECONDS = 30 * 24 * 3600;

/** KV holds every answer; the data centre's own cache stands in front of it (a no-op on workers.dev). */
function answerStore(kv: KVNamespace, later: Platform["later"]): AnswerStore {
  // The Cache API stores answers to GET requests only, so each entry gets an address of its own.
  const address = (key: string) => `https://eval-cache.funmatch.invalid/${encodeURIComponent(key)}`;
  const nearby = (key: string, answer: Uint8Array) =>
    caches.default.put(
      address(key),
      new Response(answer, { headers: { "cache-control": `public, max-age=${KEEP_SECONDS}, immutable` } }),
    );
  return {
    async get(key) {
      const near = await caches.default.match(address(key));
      if (near !== undefined) return new Uint8Array(await near.arrayBuffer());
      const stored = await kv.get(key, "arrayBuffer");
      if (stored === null) return null;
      const answer = new Uint8Array(stored);
      later(nearby(key, answer));
      return answer;
    },
    async put(key, answer) {
      await Promise.all([nearby(key, answer), kv.put(key, answer, { expirationTtl: KEEP_SECONDS })]);
    },
  };
}

/**
 * The gateway's platform on Cloudflare Workers.
 *
 * @throws SettingsError if the Worker's variables or secrets are incomplete
 * @example
 * app.fetch(request, cloudflare(env, ctx));
 */
export function cloudflare(env: Bindings, ctx: Pick<ExecutionContext, "waitUntil">): Platform {
  const later = (work: Promise<unknown>) => ctx.waitUntil(work);
  return {
    settings: readSettings({ ...env }),
    keys: env.KEYS.get(env.KEYS.idFromName("keys")),
    answers: answerStore(env.EVAL_CACHE, later),
    pipe: (length) => new FixedLengthStream(length),
    later,
  };
}
