import { cardSchema, WireError } from "@funmatch/wire";
import type { Settings } from "./settings.ts";
import { askTeacher, type TeacherCall } from "./teacher.ts";

/** How old a version may be that stands in for a pin. */
const FRESH_MS = 30_000;
const versions = new Map<string, { version: string; until: number }>();

/**
 * The version on a model's card, at most 30 s old: what an evaluation call without a pin is looked up under.
 *
 * @param call who asks; its path is that of the card
 * @throws WireError the teacher's refusal, `loading` while the model has no version yet, `internal` if it never will
 * @example
 * const version = await cardVersion(settings, { ...call, method: "GET", path: "/v1/models/prof" });
 */
export async function cardVersion(
  settings: Settings,
  call: Omit<TeacherCall, "body" | "pin" | "digest">,
): Promise<string> {
  const known = versions.get(call.path);
  if (known !== undefined && known.until > Date.now()) return known.version;
  const answer = await askTeacher(settings, call);
  const card = cardSchema.safeParse(await answer.json().catch(() => undefined));
  if (!card.success) throw new WireError("upstream_unreachable", "the teacher's card is not one of this API");
  const { version, state, progress } = card.data;
  if (state === "failed") throw new WireError("internal", "the teacher could not load the model");
  if (state !== "ready") throw new WireError("loading", "the model is loading", { extra: { progress } });
  versions.set(call.path, { version, until: Date.now() + FRESH_MS });
  return version;
}

/** Forgets a version that the teacher no longer answers to. */
export function forgetVersion(cardPath: string): void {
  versions.delete(cardPath);
}
