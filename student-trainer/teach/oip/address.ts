import { UserError } from "@funmatch/config";

/** Where a model of an Open Inference Protocol server lives: `origin` + `path` is its metadata, `path`/infer its answers. */
export interface OipAddress {
  /** As the config has it. */
  url: string;
  origin: string;
  /** Path of the protocol's root, such as "/v2". */
  root: string;
  /** Path of the model, with its version if the URL names one. */
  path: string;
  model: string;
}

const EXPECTED = "expected a URL such as oip+https://triton.example/v2/models/NAME, or …/NAME/versions/1";

/** Whether a teacher's URL is of this protocol. */
export function isOip(url: string): boolean {
  return url.startsWith("oip+");
}

/**
 * Takes the URL of a model apart.
 *
 * @throws UserError when it is not oip+http(s)://host/v2/models/NAME, with or without /versions/VERSION
 * @example oipAddress("oip+http://localhost:8000/v2/models/resnet").path // "/v2/models/resnet"
 */
export function oipAddress(url: string): OipAddress {
  const address = url.slice("oip+".length);
  if (!isOip(url) || !URL.canParse(address))
    throw new UserError(`teacher ${JSON.stringify(url)}: ${EXPECTED}`);
  const { protocol, origin, pathname, search, hash, username, password } = new URL(address);
  if (protocol !== "http:" && protocol !== "https:")
    throw new UserError(`teacher ${url}: oip+${protocol}// cannot be spoken; ${EXPECTED}`);
  if (username || password)
    throw new UserError(`teacher at oip+${origin}: a URL carries no key; set key: "env:NAME" beside it`);
  const parts = /^(.*\/v2)\/models\/([^/]+)(\/versions\/[^/]+)?\/?$/.exec(pathname);
  if (!parts || search || hash)
    throw new UserError(`teacher oip+${origin}${pathname}: ${EXPECTED}, nothing after it`);
  const [, root = "", model = "", version = ""] = parts;
  return { url, origin, root, path: `${root}/models/${model}${version}`, model: decodeURIComponent(model) };
}
