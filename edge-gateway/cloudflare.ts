import { DurableObject } from "cloudflare:workers";
import { type Boarding, Flight, type FlightControl, type Landing } from "./evaluation/flight.ts";
import { KeyTable } from "./identity/keys.ts";
import type { AnswerStore, KeyRecord, KeyStore, Platform } from "./platform.ts";
import type { OwnQuota, Quota } from "./quota/quota.ts";
import { TeamTable } from "./quota/team.ts";
import type { Admission, CountedCall, Outcome, TeamStore } from "./quota/team-store.ts";
import type { UsageRow } from "./quota/usage-table.ts";
import { readSettings, type Settings } from "./settings.ts";
import type { Sql, Value } from "./sql.ts";

/** What wrangler.toml binds, beside the settings. */
export interface Bindings {
  /** Stored answers: R2, or else KV, or neither. */
  EVAL_ANSWERS?: R2Bucket;
  EVAL_CACHE?: KVNamespace;
  EVAL_FLIGHTS?: DurableObjectNamespace<EvalFlight>;
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

  add(key: KeyRecord, hash: string): Promise<boolean> {
    return this.#table.add(key, hash);
  }

  find(hash: string): Promise<KeyRecord | null> {
    return this.#table.find(hash);
  }

  valid(id: string): Promise<KeyRecord | null> {
    return this.#table.valid(id);
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

/** Those who ask the same at the same time meet in one object, also from several Workers. It stores nothing. */
export class EvalFlight extends DurableObject implements FlightControl {
  // What is stored meanwhile may take a minute until every data centre sees it.
  readonly #flight = new Flight(60_000);

  join(patienceMs: number): Promise<Boarding> {
    return this.#flight.join(patienceMs);
  }

  renew(token: string): Promise<void> {
    return this.#flight.renew(token);
  }

  land(token: string, landing: Landing): Promise<void> {
    return this.#flight.land(token, landing);
  }
}

/** A copy nearby, whose age does not tell that of the answer, outlives it by no more than this. */
const NEARBY_SECONDS = 3600;

/** A store in which an answer is never replaced. */
interface FirstStore extends Pick<AnswerStore, "get"> {
  /** @returns whether it was the first under its key, and is stored */
  put(key: string, answer: Uint8Array): Promise<boolean>;
}

/** Answers in R2 or KV, or in nothing but the data centre's own cache, which stands in front of both. */
function answerStore(env: Bindings, keepSeconds: number, later: Platform["later"]): AnswerStore {
  const near = nearStore(keepSeconds);
  const far = env.EVAL_ANSWERS
    ? bucketStore(env.EVAL_ANSWERS, keepSeconds)
    : env.EVAL_CACHE && namespaceStore(env.EVAL_CACHE, keepSeconds);
  if (far === undefined)
    return { get: near.get, put: async (key, answer) => void (await near.put(key, answer)) };
  return {
    async get(key) {
      const found = await near.get(key).catch(console.error);
      if (found) return found;
      const stored = await far.get(key);
      if (stored !== null) later(near.put(key, stored).catch(console.error));
      return stored;
    },
    async put(key, answer) {
      if (await far.put(key, answer)) await near.put(key, answer).catch(console.error);
    },
  };
}

/** The Cache API: of this data centre only, and a no-op on workers.dev. */
function nearStore(keepSeconds: number): FirstStore {
  // It stores answers to GET requests only, so each entry gets an address of its own.
  const address = (key: string) => `https://eval-cache.funmatch.invalid/${encodeURIComponent(key)}`;
  const seconds = Math.min(keepSeconds, NEARBY_SECONDS);
  const headers = { "cache-control": `public, max-age=${seconds}, immutable` };
  return {
    async get(key) {
      const found = await caches.default.match(address(key));
      return found === undefined ? null : new Uint8Array(await found.arrayBuffer());
    },
    async put(key, answer) {
      if ((await caches.default.match(address(key))) !== undefined) return false;
      await caches.default.put(address(key), new Response(answer, { headers }));
      return true;
    },
  };
}

/** R2 takes answers of any size, and shows them everywhere at once. */
function bucketStore(bucket: R2Bucket, keepSeconds: number): FirstStore {
  const isOver = ({ customMetadata }: R2Object) => Number(customMetadata?.until ?? 0) <= Date.now();
  return {
    async get(key) {
      const found = await bucket.get(key);
      if (found === null) return null;
      if (!isOver(found)) return new Uint8Array(await found.arrayBuffer());
      await found.body.cancel();
      await bucket.delete(key);
      return null;
    },
    async put(key, answer) {
      const customMetadata = { until: String(Date.now() + keepSeconds * 1000) };
      const put = await bucket.put(key, answer, { customMetadata, onlyIf: { etagDoesNotMatch: "*" } });
      return put !== null;
    },
  };
}

/** KV: up to a minute late elsewhere. */
function namespaceStore(kv: KVNamespace, keepSeconds: number): FirstStore {
  return {
    async get(key) {
      const stored = await kv.get(key, "arrayBuffer");
      return stored === null ? null : new Uint8Array(stored);
    },
    async put(key, answer) {
      const before = await kv.get(key, "stream");
      if (before !== null) {
        await before.cancel();
        return false;
      }
      await kv.put(key, answer, { expirationTtl: keepSeconds });
      return true;
    },
  };
}

/** Where nothing is bound for it, everybody asks for themselves. */
const alone: FlightControl = {
  join: async () => ({ kind: "lead", token: "" }),
  renew: async () => {},
  land: async () => {},
};

/**
 * The gateway's platform on Cloudflare Workers.
 *
 * @throws SettingsError if the Worker's variables or secrets are incomplete
 * @example
 * app.fetch(request, cloudflare(env, ctx));
 */
export function cloudflare(env: Bindings, ctx: Pick<ExecutionContext, "waitUntil">): Platform {
  const later = (work: Promise<unknown>) => ctx.waitUntil(work);
  const settings = settingsOf(env);
  const flights = env.EVAL_FLIGHTS;
  return {
    settings,
    keys: env.KEYS.get(env.KEYS.idFromName("keys")),
    team: (name) => env.TEAMS.get(env.TEAMS.idFromName(name)),
    answers: answerStore(env, settings.evalCacheSeconds, later),
    flights: (key) => flights?.get(flights.idFromName(key)) ?? alone,
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
