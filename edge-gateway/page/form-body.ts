import { WireError } from "@funmatch/wire";
import type { Context } from "hono";
import type { PageEnv } from "./session.ts";

/** Far more than any form here takes. */
const MOST_BYTES = 16 * 1024;

/**
 * What a form was filled in with.
 *
 * @throws WireError `length_required`, `too_large`, `malformed`
 */
export async function readForm(c: Context<PageEnv>): Promise<URLSearchParams> {
  const length = c.req.header("content-length");
  if (length === undefined) throw new WireError("length_required", "Content-Length is missing");
  if (Number(length) > MOST_BYTES) throw new WireError("too_large", `a form may have ${MOST_BYTES} bytes`);
  if (!/^application\/x-www-form-urlencoded\b/i.test(c.req.header("content-type") ?? ""))
    throw new WireError("malformed", "a form is sent as application/x-www-form-urlencoded");
  // As bytes: workerd warns of text() where the content type names no text.
  return new URLSearchParams(new TextDecoder().decode(await c.req.arrayBuffer()));
}

/** A field without the space around it; empty if it is not there. */
export function field(form: URLSearchParams, name: string): string {
  return (form.get(name) ?? "").trim();
}
