import { encodeAnswer, MSGPACK_TYPE, type RequestHead } from "@funmatch/wire";
import type { Context } from "hono";
import type { Env } from "./app.ts";
import { announcedLength, receive } from "./body.ts";
import { infer, type Protocol } from "./inference.ts";
import type { Service } from "./service.ts";

/** Requests and answers as msgpack, images last: see design.md, "The HTTP logits API". */
const msgpack: Protocol<RequestHead> = {
  announcedLength,
  receive,
  encode({ logits, shape, ...said }) {
    const data = new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength);
    const body = encodeAnswer({ ...said, logits: { dtype: "float32", shape, data } });
    return { body, headers: { "content-type": MSGPACK_TYPE } };
  },
};

/** `POST /v1/models/{model}/logits` */
export function logits(c: Context<Env>, service: Service): Promise<Response> {
  return infer(c, service, msgpack);
}
