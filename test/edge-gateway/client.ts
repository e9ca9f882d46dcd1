import { encodeRequestHead, type ImageDtype, type Purpose, sha256 } from "@funmatch/wire";
import { host } from "#host";
import type { Scope } from "../../edge-gateway/names.ts";
import type { KeyRecord } from "../../edge-gateway/platform.ts";
import type { SeenCall } from "./fake-teacher.ts";
import { VARIABLES } from "./hosts/settings.ts";

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

/** [n,8,8,3] images that no other call has, unless it has the same seed. */
export function images(n: number, seed: number): { shape: number[]; data: Uint8Array<ArrayBuffer> } {
  const data = new Uint8Array(n * 8 * 8 * 3);
  for (let i = 0; i < data.length; i++) data[i] = (i * 31 + seed * 7919 + (i >> 5) * seed) % 256;
  return { shape: [n, 8, 8, 3], data };
}

/** A logits request's body. `digest` left out: the right one. */
export async function encode(o: {
  purpose: Purpose;
  shape: number[];
  data: Uint8Array<ArrayBuffer>;
  digest?: string | null;
  dtype?: ImageDtype;
}): Promise<Uint8Array<ArrayBuffer>> {
  const digest = o.digest === undefined ? await sha256(o.data) : o.digest;
  const { purpose, shape, dtype = "uint8" } = o;
  const head = encodeRequestHead({ purpose, dtype, shape, ...(digest === null ? {} : { digest }) });
  const body = new Uint8Array(head.length + o.data.length);
  body.set(head);
  body.set(o.data, head.length);
  return body;
}

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
