import { createHash } from "node:crypto";
import { unwatchFile, watchFile } from "node:fs";
import { readFile } from "node:fs/promises";
import { secret, UserError } from "@funmatch/config";
import type { Logger } from "pino";

/** Which team a key belongs to. */
export interface Keys {
  teamOf(key: string): string | undefined;
  close(): void;
}

/** How often the file is looked at. Not by events of the system: mounted secrets change behind a link, which tells none. */
const LOOK_MS = 1000;
const MAX_BYTES = 2 ** 20;

/**
 * Reads a file of teams' keys and reads it again when it changes. A change that is wrong is logged and the keys stay
 * as they were, so that no slip of the hand locks everybody out.
 *
 * @throws UserError naming the line that is wrong
 */
export async function openKeyFile(path: string, log: Logger): Promise<Keys> {
  let teams = await readKeys(path);
  const look = async () => {
    try {
      teams = await readKeys(path);
      log.info({ path, keys: teams.size }, "keys are read again");
    } catch (error) {
      log.error({ detail: (error as Error).message }, "keys stay as they were");
    }
  };
  watchFile(path, { interval: LOOK_MS, persistent: false }, look);
  return {
    // Looked up by its hash, whose bytes nobody can choose, so that timing tells nothing of other keys.
    teamOf: (key) => teams.get(hashOf(key)),
    close: () => unwatchFile(path, look),
  };
}

/**
 * Team by the SHA-256 of each key in a file.
 *
 * @throws UserError naming the line that is wrong
 */
export async function readKeys(path: string): Promise<Map<string, string>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new UserError(`cannot read the keys ${path}: ${(error as NodeJS.ErrnoException).code}`);
  }
  if (text.length > MAX_BYTES) throw new UserError(`${path} is no file of keys: it is over 1 MiB`);
  return parseKeys(text, path);
}

/**
 * A line each: `team: sha256:<hex>` or `team: env:NAME`, the latter for a key in the environment; blank lines and those
 * that begin with # count for nothing. A team may have several keys, so that one can be replaced without a pause.
 *
 * @returns team by the key's SHA-256, in hex
 * @throws UserError naming the line, never what stands in it, which may be a key
 */
export function parseKeys(text: string, path: string): Map<string, string> {
  const teams = new Map<string, string>();
  const lines = new Map<string, number>();
  text.split(/\r?\n/).forEach((raw, i) => {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) return;
    const place = `${path} line ${i + 1}`;
    const [, team, key] = /^([A-Za-z0-9][A-Za-z0-9._-]{0,99})\s*:\s*(\S+)$/.exec(line) ?? [];
    if (team === undefined || key === undefined)
      throw new UserError(
        `${place}: expected "team: sha256:<64 hex digits>", the team's name made of letters, digits, dots, dashes and underscores`,
      );
    const hash = hashIn(key, place);
    const other = lines.get(hash);
    if (other !== undefined && teams.get(hash) !== team)
      throw new UserError(
        `${place}: team ${team} has the same key as ${teams.get(hash)} in line ${other}: each needs its own`,
      );
    teams.set(hash, team);
    lines.set(hash, i + 1);
  });
  if (teams.size === 0) throw new UserError(`${path} holds no key: expected lines "team: sha256:<hex>"`);
  return teams;
}

function hashIn(key: string, place: string): string {
  const hex = /^sha256:([0-9a-f]{64})$/i.exec(key)?.[1];
  if (hex) return hex.toLowerCase();
  if (!key.startsWith("env:"))
    throw new UserError(
      `${place}: the key must be sha256: and 64 hex digits, as "printf %s KEY | sha256sum" prints them, or env:NAME`,
    );
  try {
    return hashOf(secret(key));
  } catch (error) {
    throw new UserError(`${place}: ${(error as Error).message}`);
  }
}

function hashOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}
