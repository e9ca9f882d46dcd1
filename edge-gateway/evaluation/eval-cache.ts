import { HEADERS, sha256, WireError } from "@funmatch/wire";
import type { Context } from "hono";
import { answerHeaders, passOn, requireDigest } from "../call/answer.ts";
import { readWhole } from "../call/body.ts";
import type { LogitsCall } from "../call/logits-call.ts";
import { inTime } from "../deadline.ts";
import type { GatewayEnv } from "../identity/auth.ts";
import { askerOf } from "../teachers/asker.ts";
import { cardVersion, forgetVersion } from "../teachers/card-version.ts";
import { askTeachers } from "../teachers/failover.ts";
import type { Origin } from "../teachers/origin.ts";
import { type Asker, askTeacher, readAnswer } from "../teachers/teacher.ts";
import { allFinite, type EntryName, entryKey, misfit } from "./entry.ts";
import { takeRoom } from "./room.ts";
import { askTogether } from "./together.ts";

/** Evaluation calls up to this many bytes are buffered and looked up. */
export const LARGEST_BUFFERED = 8 * 1024 * 1024;

/** Answers up to this many bytes are stored: what a store of the gateway's hosts takes, and an isolate bears. */
const LARGEST_STORED = 24 * 1024 * 1024;

/** An evaluation call that is here as a whole. */
interface Evaluation {
  asker: Asker;
  call: LogitsCall;
  body: Uint8Array<ArrayBuffer>;
  digest: string;
}

/**
 * Answers an evaluation call from the store, or asks a teacher and stores what it said. The images are known by the
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
  const asker = askerOf(c, call.deadline);
  const evaluation = { asker, call, body, digest };
  const version = call.pin ?? (await cardVersion(asker, call.model));
  try {
    return await answered(c, evaluation, version);
  } catch (error) {
    // The version came from a card, not from the client: if the teacher has changed since, ask for the new one.
    const outdated =
      error instanceof WireError && error.code === "version_mismatch" && call.pin === undefined;
    if (!outdated) throw error;
    forgetVersion(asker, call.model);
    return answered(c, evaluation, await cardVersion(asker, call.model));
  }
}

async function answered(
  c: Context<GatewayEnv>,
  evaluation: Evaluation,
  version: string | undefined,
): Promise<Response> {
  // Without a version there is nothing to look up: no teacher is ready, and the one that is asked says for how long.
  if (version === undefined) return (await askAndStore(c, evaluation, undefined)).own;
  const name = nameOf(c, evaluation, version);
  const key = entryKey(name);
  // A store that fails costs a question to the teacher, not an answer to the client.
  const stored = await c.env.answers.get(key).catch(console.error);
  if (stored) {
    const wrong = misfit(stored, name);
    if (wrong === undefined) return hit(stored, name);
    console.error(`what is stored under ${key} does not fit: ${wrong}`);
  }
  const told = await askTogether(c.env.flights(key), evaluation.asker, () =>
    askAndStore(c, evaluation, version),
  );
  return "own" in told ? told.own : hit(told.bytes, name);
}

function hit(bytes: Uint8Array<ArrayBuffer>, { digest, version }: EntryName): Response {
  const headers = answerHeaders("hit");
  headers.set(HEADERS.digest, digest);
  headers.set(HEADERS.answeredVersion, version);
  return new Response(bytes, { headers });
}

/** Asks whichever teacher answers; `bytes` are those of an answer that was stored. */
async function askAndStore(
  c: Context<GatewayEnv>,
  evaluation: Evaluation,
  version: string | undefined,
): Promise<{ own: Response; bytes: Uint8Array<ArrayBuffer> | undefined }> {
  const { asker, call } = evaluation;
  const ask = (origin: Origin, watched: Asker) =>
    askOne(c, { ...evaluation, asker: watched }, version, origin);
  const { answer, bytes } = await askTeachers(asker, {
    ...{ model: call.model, pin: version, ask, repeatable: () => true },
  });
  if (bytes === undefined) return { own: passOn(answer, answer.body, "bypass"), bytes };
  if (!allFinite(bytes)) return { own: passOn(answer, bytes, "bypass"), bytes: undefined };
  const key = entryKey(nameOf(c, evaluation, version ?? answeredVersion(answer)));
  c.env.later(c.env.answers.put(key, bytes).catch(console.error));
  return { own: passOn(answer, bytes, "miss"), bytes };
}

/** A teacher's answer, and its bytes unless there is no room for them: it must be right, or another one is asked. */
async function askOne(
  c: Context<GatewayEnv>,
  evaluation: Evaluation,
  version: string | undefined,
  origin: Origin,
): Promise<{ answer: Response; bytes: Uint8Array<ArrayBuffer> | undefined }> {
  const { asker, call, body, digest } = evaluation;
  const answer = await askTeacher(origin, asker, {
    method: "POST",
    path: call.path,
    purpose: "eval",
    digest: call.incoming.head.digest,
    pin: version,
    body: { bytes: body, length: body.length },
  });
  requireDigest(answer, digest);
  const size = Number(answer.headers.get("content-length") ?? LARGEST_STORED);
  const giveBack = size <= LARGEST_STORED && takeRoom(size, Date.now() + call.deadline.left());
  if (!giveBack) return { answer, bytes: undefined };
  try {
    const bytes = await readAnswer(answer, asker.deadline, size);
    const name = nameOf(c, evaluation, version ?? answeredVersion(answer));
    const wrong = misfit(bytes, name, classesOf(origin, name));
    if (wrong === undefined) return { answer, bytes };
    const detail = `the teacher's answer does not fit the request: ${wrong}`;
    throw new WireError("internal", detail, { status: 502 });
  } finally {
    giveBack();
  }
}

function nameOf(c: Context<GatewayEnv>, { call, digest }: Evaluation, version: string): EntryName {
  const shared = c.env.settings.sharedModels.includes(call.model);
  const { model, incoming } = call;
  return { team: c.var.caller.team, shared, model, version, head: incoming.head, digest };
}

/** K as the teacher's card of this very version tells it. */
function classesOf({ told }: Origin, { model, version }: EntryName): number | undefined {
  const card = told?.cards.get(model);
  return card?.version === version ? card.classes : undefined;
}

function answeredVersion(answer: Response): string {
  return answer.headers.get(HEADERS.answeredVersion) ?? "none";
}
