import { createHash } from "node:crypto";
import { Agent, request } from "node:http";
import { encodeRequestHead, HEADERS, MSGPACK_TYPE, type Purpose } from "@funmatch/wire";
import { noiseBytes } from "../noise.ts";

/** Whom to ask, and as whom. */
export interface Side {
  name: string;
  url: string;
  key: string;
}

/** A logits call, whole. */
export interface Call {
  body: Buffer;
  digest: string;
}

export function makeCall(purpose: Purpose, images: number, side: number): Call {
  const shape = [images, side, side, 3];
  const data = noiseBytes(`gateway ${images}`, images * side * side * 3);
  const digest = `sha256:${createHash("sha256").update(data).digest("hex")}`;
  return {
    body: Buffer.concat([encodeRequestHead({ purpose, digest, dtype: "uint8", shape }), data]),
    digest,
  };
}

const agent = new Agent({ keepAlive: true });

/** Sends a call and reads the answer. @returns ms, and what the cache did */
export function timed({ url, key }: Side, { body, digest }: Call): Promise<{ ms: number; cache: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ ms: number; cache: string }>();
  const began = performance.now();
  const headers = {
    authorization: `Bearer ${key}`,
    "content-type": MSGPACK_TYPE,
    "content-length": body.length,
  };
  const asked = request(`${url}/v1/models/prof/logits`, { method: "POST", agent, headers }, (response) => {
    const parts: Buffer[] = [];
    response.on("data", (part: Buffer) => parts.push(part)).on("error", reject);
    response.on("end", () => {
      const ms = performance.now() - began;
      if (response.statusCode === 200 && response.headers[HEADERS.digest] === digest)
        resolve({ ms, cache: String(response.headers[HEADERS.cache] ?? "none") });
      else
        reject(new Error(`${url}: ${response.statusCode} ${Buffer.concat(parts).toString().slice(0, 500)}`));
    });
  });
  asked.on("error", reject).end(body);
  return promise;
}

/** Calls of all sides, turn about: in each turn `streams` at once, one after the other on each. */
export async function interleaved(
  sides: Side[],
  call: Call,
  o: { streams: number; each: number; turns: number },
): Promise<Map<Side, { ms: number[]; perSecond: number }>> {
  const found = new Map(sides.map((side) => [side, { ms: [] as number[], seconds: 0 }]));
  for (let turn = -1; turn < o.turns; turn++) {
    for (const side of turn % 2 ? sides : sides.toReversed()) {
      const began = performance.now();
      const ms: number[] = [];
      const stream = async () => {
        for (let i = 0; i < o.each; i++) ms.push((await timed(side, call)).ms);
      };
      await Promise.all(Array.from({ length: o.streams }, stream));
      if (turn < 0) continue; // to warm up
      found.get(side)!.ms.push(...ms);
      found.get(side)!.seconds += (performance.now() - began) / 1000;
    }
  }
  return new Map([...found].map(([side, { ms, seconds }]) => [side, { ms, perSecond: ms.length / seconds }]));
}
