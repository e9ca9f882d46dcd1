import { UserError } from "@funmatch/config";

/** Where a teacher lives: `url` = `origin` + `prefix` + `/v1/models/` + `model`. */
export interface TeacherAddress {
  url: string;
  origin: string;
  /** Path before `/v1`, for a service behind a path of a larger site; mostly empty. */
  prefix: string;
  model: string;
}

/**
 * Takes a teacher's URL apart.
 *
 * @throws UserError when it is not http(s)://host/v1/models/NAME
 * @example teacherAddress("http://localhost:8500/v1/models/prof").model // "prof"
 */
export function teacherAddress(url: string): TeacherAddress {
  const expected = "expected a URL such as https://gateway.example/v1/models/NAME";
  if (!URL.canParse(url)) throw new UserError(`teacher ${JSON.stringify(url)}: ${expected}`);
  const { protocol, origin, pathname, search, hash, username, password } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:")
    throw new UserError(`teacher ${url}: ${protocol}// cannot be spoken; ${expected}`);
  if (username || password)
    throw new UserError(`teacher at ${origin}: a URL carries no key; set key: "env:NAME" beside it`);
  const parts = /^(.*)\/v1\/models\/([^/]+)\/?$/.exec(pathname);
  // What follows the path may be a secret: it is not repeated.
  if (!parts || search || hash)
    throw new UserError(`teacher ${origin}${pathname}: ${expected}, nothing after it`);
  const [, prefix = "", model = ""] = parts;
  return { url: `${origin}${prefix}/v1/models/${model}`, origin, prefix, model };
}
