import { HEADERS, WireError } from "@funmatch/wire";
import type { Context } from "hono";
import { hearOut } from "../call/body.ts";
import type { LogitsCall } from "../call/logits-call.ts";
import { inTime } from "../deadline.ts";
import type { GatewayEnv } from "../identity/auth.ts";
import { rateLimitHeaders } from "./quota.ts";
import { MOST_REFUSED } from "./refused-calls.ts";
import type { Admission, Outcome } from "./team-store.ts";

/** A lease outlives the call's deadline by this much: time to be told how it ended. */
const GRACE_MS = 10_000;

/**
 * Answers a call that its team's quota allows. Of a call that it does not allow, nothing was read but the head, and
 * the teacher never hears.
 *
 * @throws WireError `quota_exceeded` with the time to wait, `too_large` if no wait would help, whatever `answer` throws
 * @example
 * return counted(c, call, () => stream(c, call));
 */
export async function counted(
  c: Context<GatewayEnv>,
  call: LogitsCall,
  answer: () => Promise<Response>,
): Promise<Response> {
  const team = c.env.team(c.var.caller.team);
  const { head, length } = call.incoming;
  const asked = team.admit(
    {
      requestId: c.var.requestId,
      model: call.model,
      purpose: head.purpose,
      images: head.shape[0],
      bytes: length,
      digest: head.digest ?? null,
      leaseMs: call.deadline.left() + GRACE_MS,
    },
    c.env.settings.quota,
  );
  const admission = await inTime(call.deadline, asked, "the team's quota could not be asked");
  c.set("rateLimit", rateLimitHeaders(admission.policies));
  if (admission.lease === null) {
    await hearOut(call.incoming.rest, call.deadline);
    throw refusal(admission, { images: head.shape[0], bytes: length });
  }
  const { lease } = admission;
  const settle = (outcome: Outcome) => c.env.later(team.settle(lease, outcome).catch(console.error));
  try {
    const response = await answer();
    settle(response.headers.get(HEADERS.cache) === "hit" ? "hit" : "answered");
    return response;
  } catch (error) {
    settle(wasRefused(c, error) ? "refused" : "lost");
    throw error;
  }
}

/** Whether nobody computed anything. Where time ran out or the client hung up, the teacher may well have. */
function wasRefused(c: Context<GatewayEnv>, error: unknown): boolean {
  return error instanceof WireError && error.code !== "deadline_exceeded" && !c.req.raw.signal.aborted;
}

function refusal(admission: Admission & { lease: null }, call: { images: number; bytes: number }): WireError {
  if ("never" in admission) {
    const { limit, unit, most } = admission.never;
    return new WireError(
      "too_large",
      `the call has ${call[unit]} ${unit}, your team's quota lets ${most} through at once (${limit}); ask for fewer at a time`,
      { extra: { limit } },
    );
  }
  const { violated, retryAfterSeconds } = admission;
  const stand = admission.policies
    .filter(({ name }) => violated.includes(name))
    .map(
      ({ name, quota, remaining, unit }) =>
        `${name}: ${Math.max(0, Math.floor(remaining))} of ${quota} ${unit} left`,
    );
  if (violated.includes("refused-calls")) stand.push(`${MOST_REFUSED} calls a minute may end in an error`);
  return new WireError(
    "quota_exceeded",
    `your team's quota does not allow this call now (${stand.join("; ")})`,
    {
      retryAfterSeconds,
      extra: { "violated-policies": violated },
    },
  );
}
