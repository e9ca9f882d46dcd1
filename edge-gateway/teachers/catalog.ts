import { type Limits, limitsSchema, WireError } from "@funmatch/wire";
import type { Context } from "hono";
import { type Deadline, LONGEST_MS, startDeadline } from "../deadline.ts";
import { type GatewayEnv, mayAsk, requireModel } from "../identity/auth.ts";
import { largestCall } from "../quota/quota.ts";
import { askerOf } from "./asker.ts";
import { standing } from "./breaker.ts";
import { isUsable, originsFor } from "./choose.ts";
import { look } from "./look.ts";
import { type MergedCard, mergeCards } from "./merged-card.ts";
import { type Origin, originsOf, QUESTION_MS } from "./origin.ts";
import { type Asker, askTeacher, readJson, send } from "./teacher.ts";

/** `GET /v1/models`: what all teachers have together, as far as the caller's key may ask it. */
export async function listModels(c: Context<GatewayEnv>): Promise<Response> {
  const asker = askerOf(c, startDeadline(undefined, c.req.raw.signal));
  const origins = originsOf(asker.settings);
  await requireOne(origins, asker);
  const ids = new Set(origins.flatMap((origin) => [...(origin.told?.cards.keys() ?? [])]));
  const cards = [...ids].filter((id) => mayAsk(c.var.caller, id)).flatMap((id) => cardOf(asker, id) ?? []);
  return c.json({ models: cards });
}

/** `GET /v1/models/{model}`: its card, merged if several teachers have it. */
export async function showModel(c: Context<GatewayEnv, "/v1/models/:model">): Promise<Response> {
  const model = c.req.param("model");
  requireModel(c.var.caller, model);
  const asker = askerOf(c, startDeadline(undefined, c.req.raw.signal));
  const origins = originsFor(asker, model);
  await requireOne(origins, asker);
  const card = cardOf(asker, model);
  if (card?.state === "unloaded") wake(origins, asker, model);
  if (card !== undefined) return c.json(card);
  if (origins.every(isUsable)) throw new WireError("unknown_model", "the teacher has no such model");
  throw new WireError("upstream_unreachable", "no teacher that has this model can be reached");
}

const WAKE_AGAIN_MS = 1000;

/** A teacher loads a model that it has unloaded when its card is read, which the list of all does not count as. */
function wake(origins: readonly Origin[], asker: Asker, model: string): void {
  const origin = origins.find((one) => isUsable(one) && one.told?.cards.get(model)?.state === "unloaded");
  if (origin === undefined || Date.now() - (origin.wokenAt.get(model) ?? 0) < WAKE_AGAIN_MS) return;
  origin.wokenAt.set(model, Date.now());
  const deadline = questionDeadline();
  const path = `/v1/models/${encodeURIComponent(model)}`;
  const asked = askTeacher(origin, { ...asker, deadline }, { method: "GET", path, purpose: "eval" });
  asker.later(asked.then((answer) => answer.body?.cancel()).catch(() => {}));
}

/** `GET /v1/limits`: the smallest on the way, so that whoever keeps them is refused nowhere. */
export async function showLimits(c: Context<GatewayEnv>): Promise<Response> {
  const asker = askerOf(c, startDeadline(undefined, c.req.raw.signal));
  const origins = originsOf(asker.settings);
  const wrong: WireError[] = [];
  const ask = (origin: Origin) =>
    origin.asked.limits(() => readLimits(origin, asker)).catch((error) => wrong.push(error));
  await Promise.all(origins.map(ask));
  // One that is away just now keeps its limits when it comes back.
  const told = origins.flatMap(({ limits }) => limits ?? []);
  if (told.length === 0) throw wrong[0];
  const { quota } = await c.env.team(c.var.caller.team).standing(c.env.settings.quota);
  const limits: Limits = {
    maxImages: Math.min(largestCall(quota).images, ...told.map(({ maxImages }) => maxImages)),
    maxBodyBytes: Math.min(
      c.env.settings.maxBodyBytes,
      quota.bytesPerMonth ?? Infinity,
      ...told.map(({ maxBodyBytes }) => maxBodyBytes),
    ),
    timeoutMs: Math.min(LONGEST_MS, ...told.map(({ timeoutMs }) => timeoutMs)),
  };
  return c.json(limits);
}

/**
 * `GET /readyz`: whether a call would be answered now, which is the teachers' to say: one that is ready will do.
 *
 * @throws WireError `upstream_unreachable`, or `loading` until a teacher is ready
 */
export async function tellReadiness(c: Context<GatewayEnv>): Promise<Response> {
  const answers = originsOf(c.env.settings).map(({ asked, url }) =>
    asked.readiness(async () => {
      const answer = await send(`${url}/readyz`, {}, questionDeadline());
      await answer.body?.cancel();
      if (!answer.ok) throw new WireError("loading", `the teacher is not ready: it answers ${answer.status}`);
    }),
  );
  try {
    await Promise.any(answers);
  } catch (error) {
    const { errors } = error as AggregateError;
    throw errors.find((one) => one instanceof WireError && one.code === "loading") ?? errors[0];
  }
  return c.json({ status: "ready" });
}

/**
 * Reads all cards anew, within the second, since a run may begin with what is told here, and throws what is wrong if no
 * teacher tells any.
 */
async function requireOne(origins: readonly Origin[], asker: Asker): Promise<void> {
  const asked = origins.filter(({ breaker }) => standing(breaker, Date.now()) !== "open");
  const wrong = await Promise.all(asked.map((origin) => origin.asked.cards(() => look(origin, asker))));
  if (origins.length === 0 || wrong.includes(undefined)) return;
  const away = () =>
    new WireError("upstream_unreachable", "no teacher can be reached", { retryAfterSeconds: 1 });
  throw wrong.find((one) => one !== undefined) ?? away();
}

function cardOf(asker: Asker, model: string): MergedCard | undefined {
  const known = originsFor(asker, model).flatMap((origin) => {
    const card = origin.told?.cards.get(model);
    return card === undefined ? [] : [{ card, reachable: isUsable(origin) }];
  });
  return known.some(({ reachable }) => reachable) ? mergeCards(known) : undefined;
}

async function readLimits(origin: Origin, asker: Asker): Promise<Limits> {
  const deadline = questionDeadline();
  const answer = await askTeacher(
    origin,
    { ...asker, deadline },
    { method: "GET", path: "/v1/limits", purpose: "eval" },
  );
  const told = limitsSchema.safeParse(await readJson(answer, deadline));
  if (!told.success)
    throw new WireError("upstream_unreachable", "the teacher's /v1/limits is not that of this API");
  origin.limits = told.data;
  return told.data;
}

/** Nobody's own: what is asked for all has its own time. */
function questionDeadline(): Deadline {
  return startDeadline(String(QUESTION_MS), new AbortController().signal);
}
