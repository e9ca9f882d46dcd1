import { fork } from "node:child_process";
import { askChild } from "../ask-child.ts";
import type { LinkBytes, LinkOrder, LinkPort } from "./link.ts";

/** A link to a service, which runs. */
export interface Link {
  /** Where the service is found behind it. */
  url: string;
  pid: number;
  /** What it has carried so far. */
  carried(): Promise<LinkBytes>;
  stop(): void;
}

/** Starts a link to the service at `target`, such as http://127.0.0.1:8500. */
export async function startLink(
  target: string,
  o: { roundTripMs: number; megabitsPerSecond: number },
): Promise<Link> {
  const child = fork(new URL("./link.ts", import.meta.url));
  const order: LinkOrder = { ...o, targetPort: Number(new URL(target).port) };
  const { port } = await askChild<LinkPort>(child, order);
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid!,
    carried: () => askChild<LinkBytes>(child, {}),
    stop: () => void child.kill(),
  };
}
