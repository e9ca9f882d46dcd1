import { encodeRequestHead, type ImageDtype, type Purpose, sha256 } from "@funmatch/wire";

/** [n,8,8,3] images that no other call has, unless it has the same seed. */
export function images(n: number, seed: number): { shape: number[]; data: Uint8Array<ArrayBuffer> } {
  const data = new Uint8Array(n * 8 * 8 * 3);
  for (let i = 0; i < data.length; i++) data[i] = (i * 31 + seed * 7919 + (i >> 5) * seed) % 256;
  return { shape: [n, 8, 8, 3], data };
}

/** A logits request's body. `digest` left out: the right one. */
export async function encode(o: {
  purpose: Purpose;
  shape: number[];
  data: Uint8Array<ArrayBuffer>;
  digest?: string | null;
  dtype?: ImageDtype;
}): Promise<Uint8Array<ArrayBuffer>> {
  const digest = o.digest === undefined ? await sha256(o.data) : o.digest;
  const { purpose, shape, dtype = "uint8" } = o;
  const head = encodeRequestHead({ purpose, dtype, shape, ...(digest === null ? {} : { digest }) });
  const body = new Uint8Array(head.length + o.data.length);
  body.set(head);
  body.set(o.data, head.length);
  return body;
}
