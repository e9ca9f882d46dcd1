import type { Sql } from "../sql.ts";

/** What a team used of a model for a purpose in an hour. */
export interface UsageRow {
  /** UTC, as 2026-11-30T23. */
  hour: string;
  model: string;
  purpose: "train" | "eval";
  /** Calls that were counted, a retry with its first. */
  calls: number;
  images: number;
  bytes: number;
  /** Of the calls, those answered from the store. */
  hits: number;
  /** Calls that ended in an error and are counted nowhere else. */
  failures: number;
}

/** Where usage is booked. */
interface Entry {
  hour: string;
  model: string;
  purpose: string;
}

export const USAGE_STEPS = [
  `CREATE TABLE usage (
     hour TEXT, model TEXT, purpose TEXT, calls INTEGER NOT NULL, images INTEGER NOT NULL, bytes INTEGER NOT NULL,
     hits INTEGER NOT NULL, failures INTEGER NOT NULL, PRIMARY KEY (hour, model, purpose)) WITHOUT ROWID`,
];

/** Names beyond so many in an hour are booked as one: they are made up, and a table has an end. */
const MOST_MODELS = 100;
const KEPT_MS = 400 * 24 * 3_600_000;
const THE_OTHERS = "(others)";

/** Books a call. @returns the model that it was booked under */
export function chargeUsage(sql: Sql, call: Entry & { images: number; bytes: number }): string {
  const model = bookedAs(sql, call);
  sql.query(
    `INSERT INTO usage VALUES (?, ?, ?, 1, ?, ?, 0, 0) ON CONFLICT DO UPDATE
       SET calls = calls + 1, images = images + excluded.images, bytes = bytes + excluded.bytes`,
    call.hour,
    model,
    call.purpose,
    call.images,
    call.bytes,
  );
  return model;
}

/** Takes a booking back; what is left of it is a failure. */
export function refundUsage(sql: Sql, call: Entry & { images: number; bytes: number }): void {
  sql.query(
    `UPDATE usage SET calls = calls - 1, images = images - ?, bytes = bytes - ?, failures = failures + 1
       WHERE hour = ? AND model = ? AND purpose = ?`,
    call.images,
    call.bytes,
    call.hour,
    call.model,
    call.purpose,
  );
}

/** Notes that a booked call was answered from the store. */
export function countHit(sql: Sql, call: Entry): void {
  sql.query(
    "UPDATE usage SET hits = hits + 1 WHERE hour = ? AND model = ? AND purpose = ?",
    call.hour,
    call.model,
    call.purpose,
  );
}

/** The bookings of the hours from `from` until before `to`, both ISO 8601 in UTC. */
export function usageBetween(sql: Sql, from: string, to: string): UsageRow[] {
  return sql.query<UsageRow & Record<string, string | number>>(
    "SELECT * FROM usage WHERE hour >= ? AND hour < ? ORDER BY hour, model, purpose",
    from.slice(0, 13),
    to.slice(0, 13),
  );
}

function bookedAs(sql: Sql, { hour, model, purpose }: Entry): string {
  const [known] = sql.query(
    "SELECT 1 AS yes FROM usage WHERE hour = ? AND model = ? AND purpose = ?",
    hour,
    model,
    purpose,
  );
  if (known !== undefined) return model;
  const [{ models } = { models: 0 }] = sql.query<{ models: number }>(
    "SELECT count(DISTINCT model) AS models FROM usage WHERE hour = ?",
    hour,
  );
  // The first call of a model in an hour is the time to drop what is too old.
  const oldest = new Date(Date.parse(`${hour}:00Z`) - KEPT_MS).toISOString().slice(0, 13);
  sql.query("DELETE FROM usage WHERE hour < ?", oldest);
  return models < MOST_MODELS ? model : THE_OTHERS;
}
