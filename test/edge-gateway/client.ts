import { host } from "#host";
import type { Scope } from "../../edge-gateway/names.ts";
import type { KeyRecord } from "../../edge-gateway/platform.ts";
import type { SeenCall } from "./fake-teacher.ts";
import { VARIABLES } from "./hosts/settings.ts";

export { encode, images } from "./calls.ts";

export const GATEWAY = "http://gateway.test";
export const TEACHER = host.teacher;

/** The bootstrap token. */
export const ADMIN = { authorization: `Bearer ${VARIABLES.ADMIN_TOKEN}` };

export const ask = (path: string, request?: RequestInit) => host.fetch(path, request);

export async function makeKey(asked: {
  team: string;
  scopes: Scope[];
  models?: string[];
  expiresAt?: string;
}): Promise<KeyRecord & { key: string }> {
  const made = await ask("/admin/keys", { method: "POST", headers: ADMIN, body: JSON.stringify(asked) });
  if (made.status !== 201) throw new Error(await made.text());
  return made.json();
}

export const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

export async function post(
  key: string,
  body: BodyInit,
  o: { model?: string; headers?: Record<string, string> } = {},
): Promise<Response> {
  return ask(`/v1/models/${o.model ?? "prof"}/logits`, {
    method: "POST",
    body,
    headers: { ...bearer(key), "content-type": "application/vnd.msgpack", ...o.headers },
  });
}

/** A call to `prof` for an app that is called from inside, which no socket gives a length. */
export function logitsRequest(
  key: string,
  body: BodyInit,
  { length = (body as Uint8Array).length, ...init }: { length?: number; signal?: AbortSignal } = {},
): Request {
  return new Request(`${GATEWAY}/v1/models/prof/logits`, {
    ...init,
    ...{ method: "POST", body },
    duplex: "half", // Node wants to hear it of a stream
    headers: {
      ...bearer(key),
      "content-type": "application/vnd.msgpack",
      "content-length": String(length),
    },
  } as RequestInit);
}

/** The logits calls that the teacher answered, of one team. */
export async function seen(team: string): Promise<SeenCall[]> {
  const calls = (await (await fetch(`${TEACHER}/fake/calls`)).json()) as SeenCall[];
  return calls.filter(({ identity }) => identity.team === team);
}

/** An answer's status and the code of its problem. */
export async function problem(answer: Response): Promise<{ status: number; code: string; detail: string }> {
  const { code, detail } = (await answer.json()) as { code: string; detail: string };
  return { status: answer.status, code, detail };
}
