import { DurableObject } from "cloudflare:workers";
import type { KeyRecord, KeyStore, Scope } from "./platform.ts";

type Row = {
  id: string;
  team: string;
  scopes: string;
  models: string | null;
  created_at: string;
  revoked_at: string | null;
};

const record = (row: Row): KeyRecord => ({
  id: row.id,
  team: row.team,
  scopes: JSON.parse(row.scopes) as Scope[],
  models: row.models === null ? null : (JSON.parse(row.models) as string[]),
  createdAt: row.created_at,
  revokedAt: row.revoked_at,
});

/**
 * The key table: one object for the whole gateway, so a key that is revoked anywhere is revoked everywhere.
 * It sees hashes only, never a key.
 */
export class Keys extends DurableObject implements KeyStore {
  readonly #sql: SqlStorage;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as never);
    this.#sql = state.storage.sql;
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS keys (
         id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
         scopes TEXT NOT NULL, models TEXT, created_at TEXT NOT NULL, revoked_at TEXT)`,
    );
  }

  async add(key: KeyRecord, hash: string): Promise<void> {
    this.#sql.exec(
      "INSERT INTO keys (id, hash, team, scopes, models, created_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      key.id,
      hash,
      key.team,
      JSON.stringify(key.scopes),
      key.models === null ? null : JSON.stringify(key.models),
      key.createdAt,
      key.revokedAt,
    );
  }

  async find(hash: string): Promise<KeyRecord | null> {
    const [row] = this.#sql
      .exec<Row>("SELECT * FROM keys WHERE hash = ? AND revoked_at IS NULL", hash)
      .toArray();
    return row === undefined ? null : record(row);
  }

  async list(): Promise<KeyRecord[]> {
    return this.#sql.exec<Row>("SELECT * FROM keys ORDER BY created_at, id").toArray().map(record);
  }

  async revoke(id: string): Promise<boolean> {
    const { rowsWritten } = this.#sql.exec(
      "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
      new Date().toISOString(),
      id,
    );
    return rowsWritten > 0;
  }
}
