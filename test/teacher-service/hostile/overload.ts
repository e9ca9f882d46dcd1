import { once } from "node:events";
import { connect } from "node:net";
import { MSGPACK_TYPE } from "@funmatch/wire";
import { bodyOf, metric, post } from "../ask.ts";
import { noise } from "../tiny-teacher.ts";
import { SIDE } from "./mutants.ts";

/** Of twenty bodies that the service may hold one team has fifteen at most: three times what is then free. */
const HOLDERS = 15;

/**
 * Announces bodies that never come until a team holds all it may, and asks meanwhile.
 *
 * @param o.bodyBytes what each of them announces, a twentieth of what the service may hold
 * @returns how many of `asks` good requests were told `overloaded`, with a time to come back
 */
export async function overload(
  url: string,
  o: { token: string; bodyBytes: number; asks: number },
): Promise<number> {
  const { hostname, port } = new URL(url);
  const sockets = Array.from({ length: HOLDERS }, () =>
    connect(Number(port), hostname).on("error", () => {}),
  );
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  for (const socket of sockets)
    socket.write(
      `POST /v1/models/tiny/logits HTTP/1.1\r\nhost: teacher\r\ncontent-type: ${MSGPACK_TYPE}\r\n` +
        `authorization: Bearer ${o.token}\r\ncontent-length: ${o.bodyBytes}\r\n\r\n`,
    );
  while ((await metric(url, "funmatch_held_bytes")) < HOLDERS * o.bodyBytes)
    await new Promise((resolve) => setTimeout(resolve, 20));
  let told = 0;
  const body = bodyOf({ pixels: noise(SIDE * SIDE * 3), shape: [1, SIDE, SIDE, 3] });
  for (let i = 0; i < o.asks; i++) {
    const answer = await post(url, body, { headers: { authorization: `Bearer ${o.token}` } });
    const { code } = (await answer.json()) as { code?: string };
    if (answer.status === 429 && code === "overloaded" && Number(answer.headers.get("retry-after")) >= 1)
      told++;
  }
  for (const socket of sockets) socket.destroy();
  return told;
}
