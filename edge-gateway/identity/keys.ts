import { timingSafeEqual } from "hono/utils/buffer";
import type { Scope } from "../names.ts";
import type { KeyRecord, KeyStore } from "../platform.ts";
import { migrate, type Sql } from "../sql.ts";

type Row = {
  id: string;
  hash: string;
  team: string;
  scopes: string;
  models: string | null;
  created_at: string;
  revoked_at: string | null;
  expires_at: string | null;
  last_used_at: string | null;
};

const STEPS = [
  `CREATE TABLE IF NOT EXISTS keys (
     id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
     scopes TEXT NOT NULL, models TEXT, created_at TEXT NOT NULL, revoked_at TEXT)`,
  "ALTER TABLE keys ADD COLUMN expires_at TEXT",
  "ALTER TABLE keys ADD COLUMN last_used_at TEXT",
  "CREATE INDEX keys_by_prefix ON keys (substr(hash, 1, 8))",
  "CREATE TABLE teams (name TEXT PRIMARY KEY)",
  "INSERT INTO teams SELECT DISTINCT team FROM keys",
];

/** A key's last use is written down at most this often: what is asked at every call should cost no write. */
const LAST_USE_MS = 60_000;

/**
 * The key table: one for the whole gateway, so a key that is revoked anywhere is revoked everywhere.
 * It sees hashes only, never a key.
 */
export class KeyTable implements KeyStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
    migrate(sql, STEPS);
  }

  async add(key: KeyRecord, hash: string): Promise<boolean> {
    await this.addTeam(key.team);
    const added = this.#sql.query(
      "INSERT INTO keys (id, hash, team, scopes, models, created_at, revoked_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING id",
      key.id,
      hash,
      key.team,
      JSON.stringify(key.scopes),
      key.models === null ? null : JSON.stringify(key.models),
      key.createdAt,
      key.revokedAt,
      key.expiresAt,
    );
    return added.length > 0;
  }

  async find(hash: string): Promise<KeyRecord | null> {
    // The index is asked for a part of the hash only; the whole is compared in constant time.
    const rows = this.#sql.query<Row>(
      "SELECT * FROM keys WHERE substr(hash, 1, 8) = ? AND revoked_at IS NULL",
      hash.slice(0, 8),
    );
    let found: Row | undefined;
    for (const row of rows) if (await timingSafeEqual(row.hash, hash)) found = row;
    const now = new Date();
    if (found === undefined || isOver(found.expires_at, now)) return null;
    if (found.last_used_at === null || now.getTime() - Date.parse(found.last_used_at) > LAST_USE_MS) {
      this.#sql.query("UPDATE keys SET last_used_at = ? WHERE id = ?", now.toISOString(), found.id);
    }
    return record(found);
  }

  async valid(id: string): Promise<KeyRecord | null> {
    const [row] = this.#sql.query<Row>("SELECT * FROM keys WHERE id = ? AND revoked_at IS NULL", id);
    return row === undefined || isOver(row.expires_at, new Date()) ? null : record(row);
  }

  async list(team?: string): Promise<KeyRecord[]> {
    const rows =
      team === undefined
        ? this.#sql.query<Row>("SELECT * FROM keys ORDER BY created_at, id")
        : this.#sql.query<Row>("SELECT * FROM keys WHERE team = ? ORDER BY created_at, id", team);
    return rows.map(record);
  }

  async revoke(id: string): Promise<boolean> {
    const revoked = this.#sql.query(
      "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL RETURNING id",
      new Date().toISOString(),
      id,
    );
    return revoked.length > 0;
  }

  async teams(): Promise<string[]> {
    return this.#sql.query<{ name: string }>("SELECT name FROM teams ORDER BY name").map(({ name }) => name);
  }

  async addTeam(name: string): Promise<void> {
    this.#sql.query("INSERT OR IGNORE INTO teams VALUES (?)", name);
  }
}

const record = (row: Row): KeyRecord => ({
  id: row.id,
  team: row.team,
  scopes: JSON.parse(row.scopes) as Scope[],
  models: row.models === null ? null : (JSON.parse(row.models) as string[]),
  createdAt: row.created_at,
  revokedAt: row.revoked_at,
  expiresAt: row.expires_at,
  lastUsedAt: row.last_used_at,
});

const isOver = (end: string | null, now: Date) => end !== null && Date.parse(end) <= now.getTime();
