import type { Sql } from "../sql.ts";

/**
 * Calls that end in an error cost no images, but they cost the teacher: so many of a team, which leak away in a minute.
 * A teacher remembers 100,000 calls in two minutes, and no team comes near it by them.
 */
export const MOST_REFUSED = 3000;
const PER_SECOND = MOST_REFUSED / 60;

export const REFUSED_STEPS = [
  "CREATE TABLE refused (only INTEGER PRIMARY KEY CHECK (only = 1), spent REAL NOT NULL, at INTEGER NOT NULL)",
  "INSERT INTO refused VALUES (1, 0, 0)",
];

/** Books a call that ended in an error. */
export function countRefused(sql: Sql, now: number): void {
  sql.query("UPDATE refused SET spent = ?, at = ?", refused(sql, now) + 1, now);
}

/** Seconds until a team may call again, which had too many calls that ended in an error; 0 if it may now. */
export function waitForRefused(sql: Sql, now: number): number {
  return Math.max(0, refused(sql, now) + 1 - MOST_REFUSED) / PER_SECOND;
}

function refused(sql: Sql, now: number): number {
  const [bucket] = sql.query<{ spent: number; at: number }>("SELECT spent, at FROM refused");
  return Math.max(0, bucket!.spent - (Math.max(0, now - bucket!.at) / 1000) * PER_SECOND);
}
