import { type Limits, limitsSchema, modelListSchema, WireError } from "@funmatch/wire";
import type { Context } from "hono";
import type * as z from "zod";
import { type GatewayEnv, mayAsk, requireModel } from "./auth.ts";
import { LONGEST_MS, startDeadline } from "./deadline.ts";
import { askTeacher, send } from "./teacher.ts";

/** `GET /v1/models`: the teacher's models, as far as the caller's key may ask them. */
export async function listModels(c: Context<GatewayEnv>): Promise<Response> {
  const { models } = await read(c, "/v1/models", modelListSchema);
  return c.json({ models: models.filter(({ id }) => mayAsk(c.var.caller, id)) });
}

/** `GET /v1/models/{model}`: the teacher's card, as it is. */
export async function showModel(c: Context<GatewayEnv, "/v1/models/:model">): Promise<Response> {
  const model = c.req.param("model");
  requireModel(c.var.caller, model);
  const card = await ask(c, `/v1/models/${model}`);
  return new Response(card.body, {
    headers: { "content-type": "application/json", "cache-control": "no-store" },
  });
}

/** `GET /v1/limits`: the smallest on the way, so that whoever keeps them is refused nowhere. */
export async function showLimits(c: Context<GatewayEnv>): Promise<Response> {
  const teacher = await read(c, "/v1/limits", limitsSchema);
  const limits: Limits = {
    maxImages: teacher.maxImages,
    maxBodyBytes: Math.min(teacher.maxBodyBytes, c.env.settings.maxBodyBytes),
    timeoutMs: Math.min(teacher.timeoutMs, LONGEST_MS),
  };
  return c.json(limits);
}

/**
 * `GET /readyz`: whether a call would be answered now, which is the teacher's to say.
 *
 * @throws WireError `upstream_unreachable`, or `loading` until the teacher is ready
 */
export async function tellReadiness(c: Context<GatewayEnv>): Promise<Response> {
  const answer = await send(
    `${c.env.settings.teacherUrl}/readyz`,
    {},
    startDeadline("5000", c.req.raw.signal),
  );
  await answer.body?.cancel();
  if (!answer.ok) throw new WireError("loading", `the teacher is not ready: it answers ${answer.status}`);
  return c.json({ status: "ready" });
}

function ask(c: Context<GatewayEnv>, path: string): Promise<Response> {
  const { requestId, caller } = c.var;
  const deadline = startDeadline(undefined, c.req.raw.signal);
  return askTeacher(c.env.settings, {
    method: "GET",
    path,
    team: caller.team,
    requestId,
    deadline,
    purpose: "eval",
  });
}

async function read<T>(c: Context<GatewayEnv>, path: string, schema: z.ZodType<T>): Promise<T> {
  const answer = await ask(c, path);
  const told = schema.safeParse(await answer.json().catch(() => undefined));
  if (!told.success)
    throw new WireError("upstream_unreachable", `the teacher's ${path} is not that of this API`);
  return told.data;
}
