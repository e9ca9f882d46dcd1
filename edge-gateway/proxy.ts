import type { Context } from "hono";
import { passOn, requireDigest } from "./answer.ts";
import type { GatewayEnv } from "./auth.ts";
import { patiently, pour } from "./body.ts";
import type { LogitsCall } from "./logits.ts";
import { askTeacher } from "./teacher.ts";

/**
 * Streams a call through to the teacher and the answer back. Nothing is stored, and of the images only a few
 * kilobytes are in memory at a time. So goes every training call, and an evaluation call that is too large to buffer.
 *
 * @throws WireError the teacher's refusal, or 502 `digest_mismatch` if it answers for other images than were claimed
 * @example
 * if (call.incoming.head.purpose === "train") return stream(c, call);
 */
export async function stream(c: Context<GatewayEnv>, call: LogitsCall): Promise<Response> {
  const { head, length } = call.incoming;
  const pipe = c.env.pipe(length);
  const refused = new AbortController();
  const heard = pour(call.incoming, pipe.writable, refused.signal);
  try {
    const answer = await askTeacher(c.env.settings, {
      method: "POST",
      path: call.path,
      team: c.var.caller.team,
      requestId: c.var.requestId,
      deadline: call.deadline,
      purpose: head.purpose,
      digest: head.digest,
      pin: call.pin,
      body: { bytes: pipe.readable, length },
    });
    if (head.digest !== undefined) requireDigest(answer, head.digest);
    return passOn(answer, answer.body, "bypass");
  } catch (error) {
    refused.abort();
    if (!call.deadline.passed()) await patiently(heard);
    throw error;
  }
}
