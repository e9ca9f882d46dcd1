import {
  encodeAnswer,
  HEAD_BYTES,
  MSGPACK_TYPE,
  type RequestHead,
  readRequestHead,
  WireError,
} from "@funmatch/wire";
import type { Context } from "hono";
import type { Env } from "../app.ts";
import type { Service } from "../service.ts";
import { announcedLength, mediaType, receive } from "./body.ts";
import { infer, type Protocol } from "./inference.ts";

/** Requests and answers as msgpack, images last: see design.md, "The HTTP logits API". */
const msgpack: Protocol<RequestHead> = {
  announced(incoming, maxBodyBytes) {
    const type = mediaType(incoming);
    if (type !== MSGPACK_TYPE)
      throw new WireError(
        "unsupported_media_type",
        `content-type is ${type ? `"${type}"` : "missing"}: expected ${MSGPACK_TYPE}`,
      );
    const length = announcedLength(incoming, maxBodyBytes);
    return { length, holds: length };
  },
  receive(incoming, length, accept, signal) {
    const beginning = {
      bytes: Math.min(HEAD_BYTES, length),
      read: (start: Uint8Array) => readRequestHead(start, length),
    };
    return receive(incoming, length, beginning, accept, signal);
  },
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
