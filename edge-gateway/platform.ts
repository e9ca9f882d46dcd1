import type { FlightControl } from "./evaluation/flight.ts";
import type { Scope } from "./names.ts";
import type { TeamStore } from "./quota/team-store.ts";
import type { Settings } from "./settings.ts";

/** What a stored key allows. The key itself is never stored. */
export interface KeyRecord {
  id: string;
  team: string;
  scopes: Scope[];
  /** The models it may ask; null means all of them. */
  models: string[] | null;
  /** ISO 8601. */
  createdAt: string;
  revokedAt: string | null;
  /** From then on it opens nothing; null means never. */
  expiresAt: string | null;
  /** To the minute; null means that it was never used. */
  lastUsedAt: string | null;
}

/** The key table. `hash` is the peppered SHA-256 of a key, in hex. */
export interface KeyStore {
  /** Whether it was added: not if there is a key with that id. */
  add(record: KeyRecord, hash: string): Promise<boolean>;
  /** The record of a key that is neither revoked nor expired, or null. */
  find(hash: string): Promise<KeyRecord | null>;
  /** The same by its id, which does not count as a use. */
  valid(id: string): Promise<KeyRecord | null>;
  /** All keys, or those of a team, oldest first. */
  list(team?: string): Promise<KeyRecord[]>;
  /** Whether there was such a key, not yet revoked. */
  revoke(id: string): Promise<boolean>;
  /** Teams that have or had keys, and those that were added, by name. */
  teams(): Promise<string[]>;
  addTeam(name: string): Promise<void>;
}

/** Whole answers (response bodies) to evaluation calls. An entry never changes. */
export interface AnswerStore {
  get(key: string): Promise<Uint8Array<ArrayBuffer> | null>;
  put(key: string, answer: Uint8Array): Promise<void>;
}

/** All that the gateway needs from where it runs: `cloudflare.ts` on Workers, `node.ts` under Node. */
export interface Platform {
  settings: Settings;
  keys: KeyStore;
  /** A team's quota and usage. Its name holds nothing but a-z, 0-9 and -. */
  team(name: string): TeamStore;
  answers: AnswerStore;
  /** Where those meet who ask the same at the same time; `key` is that of the stored answer. */
  flights(key: string): FlightControl;
  /** A pipe for exactly so many bytes: a request whose body is its readable end has a Content-Length. */
  pipe(length: number): { readable: ReadableStream<Uint8Array>; writable: WritableStream<Uint8Array> };
  /** Lets work go on after the response was sent. */
  later(work: Promise<unknown>): void;
}
