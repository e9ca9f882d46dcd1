/**
 * A link of a given latency and bandwidth before a service, in a process of its own: everything that is sent to its
 * port goes over two wires, one a direction, which all connections share. It delays and slows down, and neither loses
 * nor reorders; TCP's slow start over a long way is not imitated, the round trip of its handshake is.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { openWire, type Wire } from "./wire.ts";

/** What the process is told first; it answers {@link LinkPort}. */
export interface LinkOrder {
  targetPort: number;
  roundTripMs: number;
  megabitsPerSecond: number;
}

export interface LinkPort {
  port: number;
}

/** What it answers to every later message. */
export interface LinkBytes {
  /** Towards the service, and back. */
  up: number;
  down: number;
}

process.once("message", async ({ targetPort, roundTripMs, megabitsPerSecond }: LinkOrder) => {
  const o = { delayMs: roundTripMs / 2, bytesPerMs: megabitsPerSecond * 125 };
  const [up, down] = [openWire(o), openWire(o)];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, async (near) => {
    near.pause();
    await sleep(roundTripMs); // SYN and its answer: what the caller sends goes only then
    const far = connect({ port: targetPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const)
      one.on("error", () => other.destroy()).on("close", () => other.destroySoon());
    pass(near, far, up);
    pass(far, near, down);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  process.on("message", () => process.send?.({ up: up.bytes(), down: down.bytes() } satisfies LinkBytes));
  process.send?.({ port: (server.address() as AddressInfo).port } satisfies LinkPort);
});
process.on("disconnect", () => process.exit());

/** Reads no more than the wire takes, nor while the receiver has not read what arrived. */
function pass(from: Socket, to: Socket, wire: Wire): void {
  from.on("data", async (piece: Buffer) => {
    from.pause();
    await wire.send(piece.length, () => void (to.writable && to.write(piece)));
    if (to.writableNeedDrain) await once(to, "drain").catch(() => {});
    from.resume();
  });
  from.once("end", () => void wire.send(0, () => to.end()));
  from.resume();
}
