import * as z from "zod";

export const SCOPES = ["train", "eval", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

/** What a model may be called. It becomes part of the teacher's address, so "..", say, is none. */
export const MODEL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** Team names are part of keys, cache entries and file names, so they hold neither `_` nor `/`. */
export const TEAM = /^[a-z0-9-]{1,40}$/;

export const teamSchema = z.string().regex(TEAM, "must be 1 to 40 of a-z, 0-9 and -");
export const modelSchema = z.string().regex(MODEL, "must be the name of a model");
