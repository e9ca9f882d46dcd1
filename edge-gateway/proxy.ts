import { WireError } from "@funmatch/wire";
import type { Context } from "hono";
import { passOn, requireDigest } from "./call/answer.ts";
import type { LogitsCall } from "./call/logits-call.ts";
import { openUpload } from "./call/upload.ts";
import type { GatewayEnv } from "./identity/auth.ts";
import { askerOf } from "./teachers/asker.ts";
import { askTeachers } from "./teachers/failover.ts";
import type { Origin } from "./teachers/origin.ts";
import { type Asker, askTeacher } from "./teachers/teacher.ts";

/**
 * Streams a call through to a teacher and the answer back. Nothing is stored, and of the images only a few kilobytes
 * are in memory at a time. So goes every training call, and an evaluation call that is too large to buffer. A teacher
 * that fails before more than the first bytes were taken is replaced by another; later the body is gone with it, and the
 * client has to send it again.
 *
 * @throws WireError the teacher's refusal, or 502 `digest_mismatch` if it answers for other images than were claimed
 * @example
 * if (call.incoming.head.purpose === "train") return stream(c, call);
 */
export async function stream(c: Context<GatewayEnv>, call: LogitsCall): Promise<Response> {
  const asker = askerOf(c, call.deadline);
  const upload = openUpload(call.incoming);
  const ask = async (origin: Origin, watched: Asker) => {
    const pipe = c.env.pipe(call.incoming.length);
    const refused = new AbortController();
    const turn = (signal: AbortSignal) => origin.turns.take(asker.team, signal);
    void upload.pour(pipe.writable, turn, refused.signal);
    try {
      return await askOne(origin, watched, call, pipe.readable);
    } catch (error) {
      refused.abort();
      throw upload.brokeOff() ? new WireError("malformed", "the body ended early") : error;
    }
  };
  try {
    const { model, pin } = call;
    const answer = await askTeachers(asker, { model, pin, ask, repeatable: upload.whole });
    return passOn(answer, answer.body, "bypass");
  } catch (error) {
    if (!call.deadline.passed()) await upload.hearOut(call.deadline);
    throw error;
  }
}

async function askOne(
  origin: Origin,
  asker: Asker,
  { path, pin, incoming }: LogitsCall,
  bytes: ReadableStream<Uint8Array>,
): Promise<Response> {
  const { head, length } = incoming;
  const { purpose, digest } = head;
  const body = { bytes, length };
  const answer = await askTeacher(origin, asker, { method: "POST", path, purpose, digest, pin, body });
  if (digest !== undefined) requireDigest(answer, digest);
  return answer;
}
