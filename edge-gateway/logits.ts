import { HEADERS, isDigest, type RequestHead, readRequestHead, WireError } from "@funmatch/wire";
import type { Context } from "hono";
import { type Begun, begin, hearOut } from "./call/body.ts";
import type { LogitsCall } from "./call/logits-call.ts";
import { inTime, startDeadline } from "./deadline.ts";
import { evaluate, LARGEST_BUFFERED } from "./evaluation/eval-cache.ts";
import { takeRoom } from "./evaluation/room.ts";
import { type GatewayEnv, requireModel, requireScope } from "./identity/auth.ts";
import { stream } from "./proxy.ts";
import { counted } from "./quota/counted.ts";

/**
 * `POST /v1/models/{model}/logits`: decides by its first bytes whether a call is looked up or streamed through.
 *
 * @throws WireError whatever is wrong with the call, before the teacher hears of it
 * @example
 * app.post("/v1/models/:model/logits", answerLogits);
 */
export async function answerLogits(c: Context<GatewayEnv, "/v1/models/:model/logits">): Promise<Response> {
  const deadline = startDeadline(c.req.header(HEADERS.timeout), c.req.raw.signal);
  const model = c.req.param("model");
  const pin = pinOf(c);
  requireModel(c.var.caller, model);
  const beginning = begin(c.req.raw, c.env.settings.maxBodyBytes);
  const begun = await inTime(deadline, beginning, "the head of the body did not arrive");
  let head: RequestHead;
  try {
    head = allowedHead(c, begun);
  } catch (refusal) {
    await hearOut(begun.rest, deadline);
    throw refusal;
  }
  c.set("asked", { model, purpose: head.purpose, images: head.shape[0], bytes: begun.length });
  const call = { model, path: `/v1/models/${model}/logits`, pin, deadline, incoming: { ...begun, head } };
  return counted(c, call, () => answer(c, call));
}

function allowedHead(c: Context<GatewayEnv>, { first, length }: Begun): RequestHead {
  const head = readRequestHead(first, length);
  requireScope(c.var.caller, head.purpose);
  return head;
}

async function answer(c: Context<GatewayEnv>, call: LogitsCall): Promise<Response> {
  const { incoming } = call;
  const lookedUp =
    incoming.head.purpose === "eval" &&
    incoming.length <= LARGEST_BUFFERED &&
    !refusesStoring(c.req.header("cache-control"));
  const giveBack = lookedUp && takeRoom(incoming.length, Date.now() + call.deadline.left());
  if (!giveBack) return stream(c, call);
  try {
    return await evaluate(c, call);
  } finally {
    giveBack();
  }
}

function pinOf(c: Context<GatewayEnv>): string | undefined {
  const pin = c.req.header(HEADERS.version);
  if (pin !== undefined && !isDigest(pin)) {
    throw new WireError("malformed", `${HEADERS.version}: expected sha256:<64 hex digits>`);
  }
  return pin;
}

function refusesStoring(cacheControl: string | undefined): boolean {
  return (cacheControl ?? "").split(",").some((directive) => directive.trim().toLowerCase() === "no-store");
}
