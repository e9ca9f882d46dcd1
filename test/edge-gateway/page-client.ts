import { ask } from "./client.ts";

/** What a browser sends along with a form of the page's own. */
const FROM_HERE = { "sec-fetch-site": "same-origin" };

/** An answer of the page, read. */
export interface Shown {
  status: number;
  headers: Headers;
  text: string;
}

/** Opens a page, with a session or without. */
export async function open(path: string, cookie = ""): Promise<Shown> {
  return shown(await ask(path, { redirect: "manual", headers: { cookie } }));
}

/** Sends a form as a browser does, from the page itself unless the headers say otherwise. */
export async function send(
  path: string,
  fields: Record<string, string | string[]>,
  o: { cookie?: string; headers?: Record<string, string> } = {},
): Promise<Shown> {
  const body = new URLSearchParams();
  for (const [name, values] of Object.entries(fields))
    for (const value of [values].flat()) body.append(name, value);
  const headers = {
    "content-type": "application/x-www-form-urlencoded",
    cookie: o.cookie ?? "",
    ...(o.headers ?? FROM_HERE),
  };
  return shown(await ask(path, { method: "POST", redirect: "manual", headers, body: body.toString() }));
}

/** Signs in, and gives the cookie that a browser would send from then on. */
export async function cookieOf(key: string): Promise<string> {
  const { status, headers, text } = await send("/page/sign-in", { key });
  const cookie = headers.get("set-cookie");
  if (status !== 303 || cookie === null) throw new Error(`not signed in: ${status} ${text}`);
  return cookie.split(";")[0]!;
}

/** The id that the form for a new key was given. */
export function formId(page: string): string {
  const id = /name="id" value="([^"]+)"/.exec(page)?.[1];
  if (id === undefined) throw new Error("no form for a new key");
  return id;
}

async function shown(answer: Response): Promise<Shown> {
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}
