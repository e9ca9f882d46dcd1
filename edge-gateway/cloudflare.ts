import { DurableObject } from "cloudflare:workers";
import { KeyTable } from "./keys.ts";
import type { AnswerStore, KeyRecord, KeyStore, Platform } from "./platform.ts";
import type { OwnQuota, Quota } from "./quota.ts";
import { readSettings, type Settings } from "./settings.ts";
import type { Sql, Value } from "./sql.ts";
import { TeamTable } from "./team.ts";
import type { Admission, CountedCall, Outcome, TeamStore } from "./team-store.ts";
import type { UsageRow } from "./usage-table.ts";

/** What wrangler.toml binds, beside the settings. */
export interface Bindings {
  EVAL_CACHE: KVNamespace;
  KEYS: DurableObjectNamespace<Keys>;
  TEAMS: DurableObjectNamespace<Team>;
}

/** The database of a Durable Object. */
function sqlOf(storage: DurableObjectStorage): Sql {
  return {
    query: <Row extends Record<string, Value>>(statement: string, ...values: Value[]) =>
      storage.sql.exec<Row>(statement, ...values).toArray(),
    atomically: (work) => storage.transactionSync(work),
  };
}

/** The key table, one object for all Workers. */
export class Keys extends DurableObject implements KeyStore {
  readonly #table: KeyTable;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as never);
    this.#table = new KeyTable(sqlOf(state.storage));
  }

  add(key: KeyRecord, hash: string): Promise<void> {
    return this.#table.add(key, hash);
  }

  find(hash: string): Promise<KeyRecord | null> {
    return this.#table.find(hash);
  }

  list(team?: string): Promise<KeyRecord[]> {
    return this.#table.list(team);
  }

  revoke(id: string): Promise<boolean> {
    return this.#table.revoke(id);
  }

  teams(): Promise<string[]> {
    return this.#table.teams();
  }

  addTeam(name: string): Promise<void> {
    return this.#table.addTeam(name);
  }
}

/** A team's quota and usage, one object for each team. */
export class Team extends DurableObject implements TeamStore {
  readonly #table: TeamTable;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as never);
    this.#table = new TeamTable(sqlOf(state.storage));
  }

  admit(call: CountedCall, defaults: Quota): Promise<Admission> {
    return this.#table.admit(call, defaults);
  }

  settle(lease: number, outcome: Outcome): Promise<void> {
    return this.#table.settle(lease, outcome);
  }

  standing(defaults: Quota): ReturnType<TeamStore["standing"]> {
    return this.#table.standing(defaults);
  }

  setQuota(own: OwnQuota): Promise<void> {
    return this.#table.setQuota(own);
  }

  usage(from: string, to: string): Promise<UsageRow[]> {
    return this.#table.usage(from, to);
  }
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
    settings: settingsOf(env),
    keys: env.KEYS.get(env.KEYS.idFromName("keys")),
    team: (name) => env.TEAMS.get(env.TEAMS.idFromName(name)),
    answers: answerStore(env.EVAL_CACHE, later),
    pipe: (length) => new FixedLengthStream(length),
    later,
  };
}

const read = new WeakMap<Bindings, Settings>();

/** Settings are read once for each isolate, not once for each request. */
function settingsOf(env: Bindings): Settings {
  const known = read.get(env);
  if (known !== undefined) return known;
  const settings = readSettings({ ...env });
  read.set(env, settings);
  return settings;
}
