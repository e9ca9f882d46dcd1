import { WireError } from "@funmatch/wire";
import type { Context } from "hono";
import type * as z from "zod";
import type { GatewayEnv } from "../identity/auth.ts";

/** Far more than any key or quota takes. */
const MOST_BYTES = 64 * 1024;

/**
 * The JSON of a call to /admin.
 *
 * @throws WireError `malformed` naming each place that is wrong, `length_required`, `too_large`
 */
export async function readBody<T extends z.ZodType>(c: Context<GatewayEnv>, schema: T): Promise<z.output<T>> {
  const length = c.req.header("content-length");
  if (length === undefined) throw new WireError("length_required", "Content-Length is missing");
  if (Number(length) > MOST_BYTES) throw new WireError("too_large", `the body may have ${MOST_BYTES} bytes`);
  const read = schema.safeParse(await c.req.json().catch(() => undefined));
  if (read.success) return read.data;
  const wrong = read.error.issues.map(({ path, message }) => `${path.join(".") || "body"}: ${message}`);
  throw new WireError("malformed", wrong.join("; "));
}
