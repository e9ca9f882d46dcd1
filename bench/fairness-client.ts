/**
 * A client in a process of its own, so that the flood's work is not in the victim's times. It is told what to do by
 * messages: see {@link ClientOrder}.
 */
import { createHash } from "node:crypto";
import { Agent, request } from "node:http";
import { encodeRequestHead, HEADERS, MSGPACK_TYPE } from "@funmatch/wire";
import { noiseBytes } from "./noise.ts";

export type ClientOrder =
  /** Each of `connections` asks again as soon as it is answered, until told to stop. */
  | { do: "flood"; to: Target; images: number; connections: number }
  | { do: "stop" }
  /** Asks at times drawn from a Poisson process, whether or not the ones before are answered. */
  | { do: "ask"; to: Target; images: number; perSecond: number; seconds: number; seed: number }
  | { do: "count" };

export interface Target {
  url: string;
  model: string;
  key: string;
  resolution: number;
}

export interface ClientAnswer {
  sent: number;
  /** Requests answered with the logits of just these bytes. */
  answered: number;
  /** Told to come back later. */
  refused: number;
  /** From the time at which the request was due to its answer, in ms; of `ask` only. */
  milliseconds: number[];
}

const agent = new Agent({ keepAlive: true });
const nothing = (): ClientAnswer => ({ sent: 0, answered: 0, refused: 0, milliseconds: [] });

type Send = () => Promise<number>;

function sender({ url, model, key, resolution }: Target, images: number): Send {
  const data = noiseBytes("fairness", images * resolution * resolution * 3);
  const digest = `sha256:${createHash("sha256").update(data).digest("hex")}`;
  const shape = [images, resolution, resolution, 3];
  const head = encodeRequestHead({ purpose: "train", digest, dtype: "uint8", shape });
  const body = Buffer.concat([head, data]);
  const headers = {
    "content-type": MSGPACK_TYPE,
    "content-length": body.length,
    authorization: `Bearer ${key}`,
  };
  return () => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const asked = request(
      `${url}/v1/models/${model}/logits`,
      { method: "POST", agent, headers },
      (response) => {
        const status = response.statusCode ?? 0;
        const echoed = response.headers[HEADERS.digest];
        response.on("error", reject).resume();
        response.on("end", () =>
          status === 200 && echoed !== digest ? reject(new Error("other bytes")) : resolve(status),
        );
      },
    );
    asked.on("error", reject).end(body);
    return promise;
  };
}

async function once(send: Send, counts: ClientAnswer): Promise<void> {
  counts.sent += 1;
  const status = await send().catch(() => 0);
  if (status === 200) counts.answered += 1;
  if (status === 429) counts.refused += 1;
}

let flooding = false;
let flood = Promise.resolve<unknown>(undefined);
let counts = nothing();

function startFlood(send: Send, connections: number): void {
  flooding = true;
  counts = nothing();
  flood = Promise.all(
    Array.from({ length: connections }, async () => {
      while (flooding) await once(send, counts);
    }),
  );
}

async function askAtTimes(
  send: Send,
  perSecond: number,
  seconds: number,
  seed: number,
): Promise<ClientAnswer> {
  const found = nothing();
  const answers: Promise<void>[] = [];
  const started = performance.now();
  let state = seed;
  const exponential = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return -Math.log((state + 0.5) / 2 ** 32) / perSecond;
  };
  for (let at = exponential(); at < seconds; at += exponential()) {
    const due = started + at * 1000;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    answers.push(once(send, found).then(() => void found.milliseconds.push(performance.now() - due)));
  }
  await Promise.all(answers);
  return found;
}

async function answer(order: ClientOrder): Promise<ClientAnswer> {
  switch (order.do) {
    case "flood":
      startFlood(sender(order.to, order.images), order.connections);
      return counts;
    case "count":
      return { ...counts };
    case "stop":
      flooding = false;
      await flood;
      return counts;
    case "ask":
      return askAtTimes(sender(order.to, order.images), order.perSecond, order.seconds, order.seed);
  }
}

process.on("message", async (order: ClientOrder) => {
  process.send?.(await answer(order));
});
