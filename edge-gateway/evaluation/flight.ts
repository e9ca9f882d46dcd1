import { type ProblemCode, WireError } from "@funmatch/wire";
import { openTally } from "../tally.ts";

/** A leader that has not been heard of for so long is taken for dead. */
const LEASE_MS = 3000;
/** How often a leader says that it still asks. */
export const RENEW_MS = 1000;
/** What all flights of a process keep at hand together, in bytes. */
const MOST_KEPT = 32 * 1024 * 1024;
const keptBytes = openTally();

/** A refusal in a form that can be handed from process to process. */
export interface Refusal {
  code: ProblemCode;
  detail: string;
  status: number;
  retryAfterSeconds: number | undefined;
  extra: Record<string, unknown> | undefined;
}

/** What becomes of somebody who joins: they are to ask the teacher, or others have done it for them. */
export type Boarding =
  | { kind: "lead"; token: string }
  | { kind: "answer"; bytes: Uint8Array<ArrayBuffer> }
  | { kind: "refusal"; refusal: Refusal }
  | { kind: "late" };

/** How a leader comes back: with an answer, with the teacher's refusal, or with neither, and then the next one leads. */
export type Landing = Exclude<Boarding, { kind: "lead" | "late" }> | { kind: "nothing" };

/** One question that several ask at once. Its methods can be called from other processes. */
export interface FlightControl {
  /** Waits for the leader's answer, at most so long. Whoever comes when nobody leads, or when the leader dies, leads. */
  join(patienceMs: number): Promise<Boarding>;
  /** The leader is still asking. */
  renew(token: string): Promise<void>;
  land(token: string, landing: Landing): Promise<void>;
}

/**
 * Makes one question of those that are asked at once: the first one leads, the others wait for what it brings. A leader
 * that is not heard of within its lease is replaced by the first who waits.
 *
 * @example
 * const flight = new Flight();
 * const first = await flight.join(5000);   // { kind: "lead", token }
 * const second = flight.join(5000);
 * await flight.land(first.token, { kind: "answer", bytes });
 * await second;                            // { kind: "answer", bytes }
 */
export class Flight implements FlightControl {
  #leader: { token: string; until: number } | undefined;
  #waiting = new Set<(boarding: Boarding) => void>();
  #answer: { bytes: Uint8Array<ArrayBuffer>; until: number } | undefined;
  readonly #keepMs: number;

  /** @param keepMs how long an answer stays at hand, until the store that is written meanwhile tells it everywhere */
  constructor(keepMs = 0) {
    this.#keepMs = keepMs;
  }

  async join(patienceMs: number): Promise<Boarding> {
    const answer = this.#kept();
    if (answer !== undefined) return { kind: "answer", bytes: answer };
    if (this.#leader === undefined || this.#leader.until < Date.now()) return this.#lead();
    return this.#wait(Date.now() + patienceMs);
  }

  async renew(token: string): Promise<void> {
    if (this.#leader?.token === token) this.#leader.until = Date.now() + LEASE_MS;
  }

  async land(token: string, landing: Landing): Promise<void> {
    // Also one that was taken for dead and replaced: a right answer is a right answer.
    if (landing.kind === "answer") this.#keep(landing.bytes);
    else if (this.#leader?.token !== token) return;
    this.#leader = undefined;
    const waiting = [...this.#waiting];
    if (landing.kind === "nothing") waiting[0]?.(this.#lead());
    else for (const tell of waiting) tell(landing);
  }

  /** Whether nobody needs it any more. */
  idle(): boolean {
    return this.#leader === undefined && this.#waiting.size === 0 && this.#kept() === undefined;
  }

  #lead(): Boarding & { kind: "lead" } {
    const token = crypto.randomUUID();
    this.#leader = { token, until: Date.now() + LEASE_MS };
    return { kind: "lead", token };
  }

  async #wait(until: number): Promise<Boarding> {
    const told = Promise.withResolvers<Boarding>();
    // One that is told leaves at once, so that a leader who fails next does not choose it again.
    const tell = (boarding: Boarding) => {
      this.#waiting.delete(tell);
      told.resolve(boarding);
    };
    this.#waiting.add(tell);
    let timer: ReturnType<typeof setTimeout>;
    const watch = () => {
      const now = Date.now();
      const leaseEnd = this.#leader?.until ?? now;
      if (now >= until) tell({ kind: "late" });
      else if (now > leaseEnd) tell(this.#lead());
      else timer = setTimeout(watch, Math.min(until, leaseEnd + 1) - now);
    };
    watch();
    return told.promise.finally(() => clearTimeout(timer));
  }

  #keep(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#kept() !== undefined || keptBytes.sum() + bytes.length > MOST_KEPT) return;
    const until = Date.now() + this.#keepMs;
    keptBytes.take(bytes.length, until);
    this.#answer = { bytes, until };
  }

  #kept(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#answer !== undefined && this.#answer.until <= Date.now()) this.#answer = undefined;
    return this.#answer?.bytes;
  }
}

/** @example flightControl.land(token, { kind: "refusal", refusal: toRefusal(error) }); */
export function toRefusal({ code, detail, status, retryAfterSeconds, extra }: WireError): Refusal {
  return { code, detail, status, retryAfterSeconds, extra };
}

/** The error that another one met. */
export function fromRefusal({ code, detail, status, retryAfterSeconds, extra }: Refusal): WireError {
  return new WireError(code, detail, {
    status,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(extra === undefined ? {} : { extra }),
  });
}
