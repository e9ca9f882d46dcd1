import { WireError } from "@funmatch/wire";
import type { Platform } from "../platform.ts";
import type { OwnQuota, Policy, Quota } from "../quota/quota.ts";

/** A team, its quota, and how much of it is left. */
export interface Standing {
  team: string;
  quota: Quota;
  own: OwnQuota;
  policies: Policy[];
}

/** How a team stands. */
export async function standing({ settings, team }: Platform, name: string): Promise<Standing> {
  return { team: name, ...(await team(name).standing(settings.quota)) };
}

/** Teams with keys, those that were added, and those that tokens of CI systems stand for. */
export async function namesOf({ keys, settings }: Platform): Promise<string[]> {
  const granted = settings.oidc.flatMap(({ grants }) => grants.map(({ team }) => team));
  return [...new Set([...(await keys.teams()), ...granted])].sort();
}

/** @throws WireError `not_found` if nobody made this team; a look at it would make its table */
export async function requireTeam(platform: Platform, name: string): Promise<string> {
  if (!(await namesOf(platform)).includes(name))
    throw new WireError("not_found", `there is no team ${JSON.stringify(name)}`);
  return name;
}
