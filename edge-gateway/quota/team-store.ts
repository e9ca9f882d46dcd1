import type { OwnQuota, Policy, Quota, Unfit } from "./quota.ts";
import type { UsageRow } from "./usage-table.ts";

/** A call that asks to be let in, as its first bytes tell it. */
export interface CountedCall {
  requestId: string;
  model: string;
  purpose: "train" | "eval";
  images: number;
  bytes: number;
  /** The digest that it claims; a retry is known by it. */
  digest: string | null;
  /** If nothing is heard of it for so long, its isolate is gone and it is in flight no more. */
  leaseMs: number;
}

/** Whether a call was let in: by the number of its lease, which `settle` wants. */
export type Admission = { policies: Policy[] } & (
  | { lease: number }
  | { lease: null; violated: (Policy["name"] | "refused-calls")[]; retryAfterSeconds: number }
  | { lease: null; never: Unfit }
);

/**
 * How a call ended. `answered`: by the teacher. `hit`: from the store. `refused`: with an error, the teacher's or ours.
 * `lost`: nobody waited for its end.
 */
export type Outcome = "answered" | "hit" | "refused" | "lost";

/** What a team has and how it stands, and what it used: one for each team. */
export interface TeamStore {
  /** Counts a call against the quota, or says that it does not fit. Nothing is counted of a call that does not. */
  admit(call: CountedCall, defaults: Quota): Promise<Admission>;
  /** Ends a call's time in flight, and gives its images back if nobody answered them. */
  settle(lease: number, outcome: Outcome): Promise<void>;
  /** The quota that holds, and how much is left of it. */
  standing(defaults: Quota): Promise<{ quota: Quota; own: OwnQuota; policies: Policy[] }>;
  setQuota(own: OwnQuota): Promise<void>;
  /** What was used in the hours from `from` until before `to`, both ISO 8601. */
  usage(from: string, to: string): Promise<UsageRow[]>;
}
