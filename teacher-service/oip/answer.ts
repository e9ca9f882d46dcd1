import { setImmediate } from "node:timers/promises";
import { INFERENCE_HEADER, type InferAnswer, type InferHead, LOGITS } from "@funmatch/wire/oip";
import type { Answered, Encoded } from "../request/inference.ts";

/** Numbers that are written at once, before others get the thread. */
const AT_ONCE = 4096;

/**
 * An answer: logits as bytes behind the JSON, or as numbers in it, where what is not finite is null, for want of a
 * number of JSON.
 */
export async function encodeInferAnswer(answered: Answered, head: InferHead): Promise<Encoded> {
  const { model, version, shape, logits } = answered;
  const output = { name: LOGITS, datatype: "FP32", shape };
  const answer = (outputs: InferAnswer["outputs"]): string =>
    JSON.stringify({
      model_name: model,
      model_version: version,
      ...(head.id !== undefined && { id: head.id }),
      outputs,
    } satisfies InferAnswer);
  if (!head.binaryLogits) {
    const [before, after] = splitAtLast(answer([{ ...output, data: [] }]), "[]");
    const parts = [before, "["];
    for (let at = 0; at < logits.length; at += AT_ONCE) {
      if (at > 0) parts.push(",");
      parts.push(JSON.stringify([...logits.subarray(at, at + AT_ONCE)]).slice(1, -1));
      await setImmediate();
    }
    parts.push("]", after);
    const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
    return { body, headers: { "content-type": "application/json" } };
  }
  const json = Buffer.from(answer([{ ...output, parameters: { binary_data_size: logits.byteLength } }]));
  const bytes = new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength);
  return {
    body: Buffer.concat([json, bytes]),
    headers: { "content-type": "application/octet-stream", [INFERENCE_HEADER]: String(json.length) },
  };
}

function splitAtLast(text: string, mark: string): [string, string] {
  const at = text.lastIndexOf(mark);
  return [text.slice(0, at), text.slice(at + mark.length)];
}
