import { createHash } from "node:crypto";
import {
  decodeAnswer,
  encodeRequestHead,
  floats,
  type ImageDtype,
  MSGPACK_TYPE,
  type Purpose,
} from "@funmatch/wire";

/** A request's body: head and pixels. Without `digest` the true one is claimed. */
export function bodyOf(o: {
  pixels: Uint8Array<ArrayBuffer>;
  shape: number[];
  dtype?: ImageDtype;
  purpose?: Purpose;
  digest?: string;
}): Uint8Array<ArrayBuffer> {
  const head = encodeRequestHead({
    purpose: o.purpose ?? "train",
    digest: o.digest ?? digestOf(o.pixels),
    dtype: o.dtype ?? "uint8",
    shape: o.shape,
  });
  return new Uint8Array(Buffer.concat([head, o.pixels]));
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Posts a body to the tiny model. */
export function post(
  url: string,
  body: Uint8Array<ArrayBuffer>,
  o: { headers?: Record<string, string>; model?: string; signal?: AbortSignal } = {},
): Promise<Response> {
  return fetch(`${url}/v1/models/${o.model ?? "tiny"}/logits`, {
    method: "POST",
    headers: { "content-type": MSGPACK_TYPE, ...o.headers },
    body,
    signal: o.signal,
  });
}

/** The logits of an answer; throws what the service said if it refused. */
export async function logitsOf(response: Response): Promise<Float32Array> {
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return floats(decodeAnswer(new Uint8Array(await response.arrayBuffer())).logits.data);
}

/** Status and code of a refusal. */
export async function refusal(response: Response): Promise<[status: number, code: string]> {
  const { code } = (await response.json()) as { code: string };
  return [response.status, code];
}

/** A figure of the service's own, summed over its labels; `name` may have the first of them: `images{model="tiny"`. */
export async function metric(url: string, name: string): Promise<number> {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split("\n");
  const named = lines.filter(
    (line) => line.startsWith(name) && (name.includes("{") || /^[ {]/.test(line.slice(name.length))),
  );
  return named.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}
