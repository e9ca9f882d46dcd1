import { migrate, type Sql } from "../sql.ts";
import { bucketSize, type OwnQuota, type Policy, type Quota, unfit } from "./quota.ts";
import { countRefused, REFUSED_STEPS, waitForRefused } from "./refused-calls.ts";
import type { Admission, CountedCall, Outcome, TeamStore } from "./team-store.ts";
import {
  chargeUsage,
  countHit,
  refundUsage,
  USAGE_STEPS,
  type UsageRow,
  usageBetween,
} from "./usage-table.ts";

const STEPS = [
  "CREATE TABLE own_quota (only INTEGER PRIMARY KEY CHECK (only = 1), quota TEXT NOT NULL)",
  // How full the bucket would be if it filled by calls and leaked with time: changing a limit changes nothing here.
  "CREATE TABLE bucket (only INTEGER PRIMARY KEY CHECK (only = 1), spent REAL NOT NULL, at INTEGER NOT NULL)",
  "INSERT INTO bucket VALUES (1, 0, 0)",
  "CREATE TABLE months (month TEXT PRIMARY KEY, images INTEGER NOT NULL, bytes INTEGER NOT NULL)",
  // What was counted, once for all its attempts. "kept": its images were answered, or may have been; they stay counted.
  `CREATE TABLE calls (
     id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL UNIQUE, what TEXT, at INTEGER NOT NULL,
     images INTEGER NOT NULL, bytes INTEGER NOT NULL, model TEXT NOT NULL, purpose TEXT NOT NULL, hour TEXT NOT NULL,
     per_minute INTEGER, kept INTEGER NOT NULL DEFAULT 0, repeats INTEGER NOT NULL DEFAULT 0)`,
  "CREATE INDEX calls_by_time ON calls (at)",
  `CREATE TABLE leases (
     lease INTEGER PRIMARY KEY AUTOINCREMENT, call INTEGER NOT NULL, images INTEGER NOT NULL, until INTEGER NOT NULL)`,
  "CREATE INDEX leases_by_call ON leases (call)",
  ...USAGE_STEPS,
  ...REFUSED_STEPS,
];

/** A request id is known again for so long, */
const REMEMBERED_MS = 3_600_000;
/** and so often: a retry is not counted, but what goes on and on is no retry. */
const MOST_REPEATS = 16;
/** Told when only the end of other calls helps. */
const IN_FLIGHT_RETRY_SECONDS = 1;

type CallRow = {
  id: number;
  what: string | null;
  at: number;
  /** How fast the bucket leaked when it was counted; null if there was none. */
  per_minute: number | null;
  images: number;
  bytes: number;
  model: string;
  purpose: string;
  hour: string;
  kept: number;
  repeats: number;
};

/** A team's quota and usage in SQLite: whatever is asked at once is counted one after the other. */
export class TeamTable implements TeamStore {
  readonly #sql: Sql;
  readonly #now: () => number;

  /** @param now the clock, in milliseconds */
  constructor(sql: Sql, now: () => number = Date.now) {
    this.#sql = sql;
    this.#now = now;
    migrate(sql, STEPS);
  }

  async admit(call: CountedCall, defaults: Quota): Promise<Admission> {
    return this.#sql.atomically(() => this.#admit(call, defaults));
  }

  #admit(call: CountedCall, defaults: Quota): Admission {
    const now = this.#now();
    this.#forget(now);
    const { quota } = this.#quota(defaults);
    const policies = this.#policies(quota, now);
    const never = unfit(quota, call);
    if (never !== undefined) return { lease: null, never, policies };
    const retryAfterSeconds = waitForRefused(this.#sql, now);
    if (retryAfterSeconds > 0)
      return { lease: null, violated: ["refused-calls"], retryAfterSeconds, policies };
    const known = this.#knownCall(call);
    // A retry is in flight as often as it is sent, but its images were counted before.
    const violated = policies.filter(
      ({ name, unit, remaining }) =>
        (name === "in-flight" || known === undefined) &&
        remaining < (unit === "bytes" ? call.bytes : call.images),
    );
    if (violated.length > 0) {
      const waits = violated.map((policy) => this.#wait(policy, call, quota));
      return {
        lease: null,
        violated: violated.map(({ name }) => name),
        retryAfterSeconds: Math.max(...waits),
        policies,
      };
    }
    if (known !== undefined) this.#sql.query("UPDATE calls SET repeats = repeats + 1 WHERE id = ?", known.id);
    const [row] = this.#sql.query<{ lease: number }>(
      "INSERT INTO leases (call, images, until) VALUES (?, ?, ?) RETURNING lease",
      known?.id ?? this.#charge(call, quota, now),
      call.images,
      now + call.leaseMs,
    );
    return { lease: row!.lease, policies: this.#policies(quota, now) };
  }

  async settle(lease: number, outcome: Outcome): Promise<void> {
    this.#sql.atomically(() => {
      const [ended] = this.#sql.query<{ call: number }>(
        "DELETE FROM leases WHERE lease = ? RETURNING call",
        lease,
      );
      if (ended === undefined) return; // it was given up long ago, and counts
      if (outcome === "refused") countRefused(this.#sql, this.#now());
      const [call] = this.#sql.query<CallRow>("SELECT * FROM calls WHERE id = ? AND kept = 0", ended.call);
      if (call === undefined) return;
      if (outcome === "hit") {
        this.#giveBack(call, 0);
        countHit(this.#sql, call);
      }
      if (outcome !== "refused") {
        this.#sql.query("UPDATE calls SET kept = 1 WHERE id = ?", call.id);
      } else if (!this.#inFlightToo(call.id)) {
        this.#giveBack(call, call.bytes);
        refundUsage(this.#sql, call);
        this.#sql.query("DELETE FROM calls WHERE id = ?", call.id);
      }
    });
  }

  async standing(defaults: Quota): Promise<{ quota: Quota; own: OwnQuota; policies: Policy[] }> {
    const { quota, own } = this.#quota(defaults);
    return { quota, own, policies: this.#policies(quota, this.#now()) };
  }

  async setQuota(own: OwnQuota): Promise<void> {
    this.#sql.query("INSERT OR REPLACE INTO own_quota VALUES (1, ?)", JSON.stringify(own));
  }

  async usage(from: string, to: string): Promise<UsageRow[]> {
    return usageBetween(this.#sql, from, to);
  }

  #quota(defaults: Quota): { quota: Quota; own: OwnQuota } {
    const [row] = this.#sql.query<{ quota: string }>("SELECT quota FROM own_quota");
    const own = row === undefined ? {} : (JSON.parse(row.quota) as OwnQuota);
    return { quota: { ...defaults, ...own }, own };
  }

  /** The limits that there are, as they stand now. */
  #policies(quota: Quota, now: number): Policy[] {
    const policies: Policy[] = [];
    const size = bucketSize(quota);
    if (size !== null) {
      const spent = this.#spent(quota, now);
      const perSecond = quota.imagesPerMinute! / 60;
      policies.push({
        name: "minute",
        unit: "images",
        quota: size,
        remaining: size - spent,
        windowSeconds: Math.max(1, Math.round(size / perSecond)),
        resetSeconds: spent === 0 ? 0 : Math.min(1, spent) / perSecond,
      });
    }
    if (quota.imagesInFlight !== null) {
      const [row] = this.#sql.query<{ images: number | null }>(
        "SELECT sum(images) AS images FROM leases WHERE until > ?",
        now,
      );
      const remaining = quota.imagesInFlight - (row?.images ?? 0);
      policies.push({ name: "in-flight", unit: "images", quota: quota.imagesInFlight, remaining });
    }
    const [used] = this.#sql.query<{ images: number; bytes: number }>(
      "SELECT images, bytes FROM months WHERE month = ?",
      hourOf(now).slice(0, 7),
    );
    const month = monthAround(now);
    const monthly = (name: Policy["name"], unit: Policy["unit"], limit: number | null, spent: number) => {
      if (limit !== null) policies.push({ name, unit, quota: limit, remaining: limit - spent, ...month });
    };
    monthly("month", "images", quota.imagesPerMonth, used?.images ?? 0);
    monthly("month-bytes", "bytes", quota.bytesPerMonth, used?.bytes ?? 0);
    return policies;
  }

  #spent({ imagesPerMinute }: Quota, now: number): number {
    if (imagesPerMinute === null) return 0;
    const [bucket] = this.#sql.query<{ spent: number; at: number }>("SELECT spent, at FROM bucket");
    const leaked = (Math.max(0, now - bucket!.at) / 60_000) * imagesPerMinute;
    return Math.max(0, bucket!.spent - leaked);
  }

  #wait(policy: Policy, call: CountedCall, quota: Quota): number {
    if (policy.name === "in-flight") return IN_FLIGHT_RETRY_SECONDS;
    if (policy.name === "minute") return (call.images - policy.remaining) / (quota.imagesPerMinute! / 60);
    return policy.resetSeconds ?? IN_FLIGHT_RETRY_SECONDS;
  }

  /** The call that this one repeats. Without a digest nobody knows whether it is the same. */
  #knownCall(call: CountedCall): CallRow | undefined {
    const [known] = this.#sql.query<CallRow>("SELECT * FROM calls WHERE request_id = ?", call.requestId);
    if (known === undefined || known.what === null || known.what !== whatOf(call)) return undefined;
    return known.repeats < MOST_REPEATS ? known : undefined;
  }

  /** @returns the number under which it was counted */
  #charge(call: CountedCall, quota: Quota, now: number): number {
    const hour = hourOf(now);
    this.#sql.query("UPDATE bucket SET spent = ?, at = ?", this.#spent(quota, now) + call.images, now);
    this.#sql.query(
      `INSERT INTO months VALUES (?, ?, ?)
         ON CONFLICT (month) DO UPDATE SET images = images + excluded.images, bytes = bytes + excluded.bytes`,
      hour.slice(0, 7),
      call.images,
      call.bytes,
    );
    const model = chargeUsage(this.#sql, { ...call, hour });
    const [row] = this.#sql.query<{ id: number }>(
      `INSERT OR REPLACE INTO calls (request_id, what, at, images, bytes, model, purpose, hour, per_minute)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
      call.requestId,
      whatOf(call),
      now,
      call.images,
      call.bytes,
      model,
      call.purpose,
      hour,
      quota.imagesPerMinute,
    );
    return row!.id;
  }

  #giveBack({ images, hour, at, per_minute }: CallRow, bytes: number): void {
    // What may have leaked away of it is not there to be given back: no burst is ever larger than it may be.
    const leaked = ((this.#now() - at) / 60_000) * (per_minute ?? 0);
    this.#sql.query("UPDATE bucket SET spent = max(0, spent - ?)", Math.max(0, images - leaked));
    this.#sql.query(
      "UPDATE months SET images = images - ?, bytes = bytes - ? WHERE month = ?",
      images,
      bytes,
      hour.slice(0, 7),
    );
  }

  #inFlightToo(call: number): boolean {
    return this.#sql.query("SELECT lease FROM leases WHERE call = ? LIMIT 1", call).length > 0;
  }

  #forget(now: number): void {
    this.#sql.query("DELETE FROM leases WHERE until <= ?", now);
    this.#sql.query("DELETE FROM calls WHERE at <= ?", now - REMEMBERED_MS);
  }
}

function whatOf({ digest, model, purpose, images, bytes }: CountedCall): string | null {
  return digest === null ? null : [model, purpose, images, bytes, digest].join(" ");
}

/** The hour of a time in UTC: 2026-11-30T23. */
function hourOf(now: number): string {
  return new Date(now).toISOString().slice(0, 13);
}

function monthAround(now: number): { windowSeconds: number; resetSeconds: number } {
  const date = new Date(now);
  const start = Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
  const end = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
  return { windowSeconds: (end - start) / 1000, resetSeconds: (end - now) / 1000 };
}
