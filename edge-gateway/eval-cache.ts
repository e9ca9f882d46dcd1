import { decodeAnswer, HEADERS, sha256, WireError } from "@funmatch/wire";
import type { Context } from "hono";
import { answerHeaders, passOn, requireDigest } from "./answer.ts";
import type { GatewayEnv } from "./auth.ts";
import { readWhole } from "./body.ts";
import { cardVersion, forgetVersion } from "./card-version.ts";
import { inTime } from "./deadline.ts";
import type { LogitsCall } from "./logits.ts";
import { askTeacher, readAnswer } from "./teacher.ts";

/** Evaluation calls up to this many bytes are buffered and looked up. */
export const LARGEST_BUFFERED = 8 * 1024 * 1024;

/**
 * Answers an evaluation call from the store, or asks the teacher and stores what it said. The images are known by the
 * digest that is computed here; what the client claims only has to agree with it.
 *
 * @throws WireError `digest_mismatch` (422 for the client's claim, 502 for the teacher's answer), the teacher's refusal
 * @example
 * return evaluate(c, call);   // x-funmatch-cache: hit or miss
 */
export async function evaluate(c: Context<GatewayEnv>, call: LogitsCall): Promise<Response> {
  const { head } = call.incoming;
  const body = await inTime(call.deadline, readWhole(call.incoming), "the body did not arrive");
  const digest = await sha256(body.subarray(head.dataOffset));
  if (head.digest !== undefined && head.digest !== digest) {
    throw new WireError("digest_mismatch", `the request claims ${head.digest}, its images are ${digest}`);
  }
  const version = call.pin ?? (await freshVersion(c, call));
  // A store that fails costs a question to the teacher, not an answer to the client.
  const stored = await c.env.answers.get(entryKey(c, call, version, digest)).catch(console.error);
  if (stored) {
    const headers = answerHeaders("hit");
    headers.set(HEADERS.digest, digest);
    headers.set(HEADERS.answeredVersion, version);
    return new Response(stored, { headers });
  }
  try {
    return await askAndStore(c, call, { body, digest, version });
  } catch (error) {
    // The version came from a card, not from the client: if the teacher has changed since, ask for the new one.
    const outdated =
      error instanceof WireError && error.code === "version_mismatch" && call.pin === undefined;
    if (!outdated) throw error;
    forgetVersion(call.cardPath);
    return askAndStore(c, call, { body, digest, version: await freshVersion(c, call) });
  }
}

async function askAndStore(
  c: Context<GatewayEnv>,
  call: LogitsCall,
  { body, digest, version }: { body: Uint8Array<ArrayBuffer>; digest: string; version: string },
): Promise<Response> {
  const answer = await askTeacher(c.env.settings, {
    ...identity(c, call),
    method: "POST",
    path: call.path,
    digest: call.incoming.head.digest,
    pin: version,
    body: { bytes: body, length: body.length },
  });
  requireDigest(answer, digest);
  const bytes = await readAnswer(answer, call.deadline);
  requireFitting(bytes, { model: call.model, version, digest, images: call.incoming.head.shape[0] });
  c.env.later(c.env.answers.put(entryKey(c, call, version, digest), bytes).catch(console.error));
  return passOn(answer, bytes, "miss");
}

/** An entry belongs to one team. No part of its key holds a slash. */
function entryKey(c: Context<GatewayEnv>, call: LogitsCall, version: string, digest: string): string {
  const { dtype, shape } = call.incoming.head;
  return [c.var.caller.team, call.model, version, dtype, shape.join("x"), digest].join("/");
}

/** What is stored is answered for a month: it must be what it says it is. */
function requireFitting(
  bytes: Uint8Array,
  wanted: { model: string; version: string; digest: string; images: number },
): void {
  let wrong: string | undefined;
  try {
    const { model, version, digest, logits } = decodeAnswer(bytes);
    if (model !== wanted.model) wrong = `model ${model}`;
    else if (version !== wanted.version) wrong = `version ${version}`;
    else if (digest !== wanted.digest) wrong = `digest ${digest}`;
    else if (logits.shape[0] !== wanted.images) wrong = `${logits.shape[0]} images`;
  } catch (error) {
    wrong = error instanceof WireError ? error.detail : String(error);
  }
  if (wrong !== undefined) {
    throw new WireError("internal", `the teacher's answer does not fit the request: ${wrong}`, {
      status: 502,
    });
  }
}

function freshVersion(c: Context<GatewayEnv>, call: LogitsCall): Promise<string> {
  return cardVersion(c.env.settings, { ...identity(c, call), method: "GET", path: call.cardPath });
}

function identity(c: Context<GatewayEnv>, call: LogitsCall) {
  const { requestId, caller } = c.var;
  return { team: caller.team, requestId, deadline: call.deadline, purpose: "eval" as const };
}
