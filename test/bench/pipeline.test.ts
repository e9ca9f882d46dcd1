import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { type Link, startLink } from "../../bench/pipeline/start-link.ts";
import { pipeline } from "../../bench/pipeline.ts";

const opened: { stop(): void }[] = [];
afterEach(() => {
  for (const each of opened.splice(0)) each.stop();
});

describe("the link of bench/pipeline", () => {
  test("takes as long as its bandwidth says, both ways", async () => {
    const { link } = await linkTo((socket) => socket.pipe(socket), {
      roundTripMs: 0,
      megabitsPerSecond: 100,
    });
    const socket = await connectTo(link);
    const bytes = 10e6;
    const began = performance.now();
    socket.write(Buffer.alloc(bytes));
    await received(socket, bytes);
    const seconds = (performance.now() - began) / 1000;
    // The way back begins with the first piece: both together take little longer than one.
    expect(seconds).toBeGreaterThan(0.79);
    expect(seconds).toBeLessThan(1.6); // 0.8 on an idle machine
    expect(await link.carried()).toEqual({ up: bytes, down: bytes });
  });

  test("a connection takes a round trip more, every answer one", async () => {
    const { link } = await linkTo((socket) => socket.pipe(socket), {
      roundTripMs: 100,
      megabitsPerSecond: 1000,
    });
    const socket = await connectTo(link);
    const trips: number[] = [];
    for (let i = 0; i < 6; i++) {
      const began = performance.now();
      socket.write("ping");
      await received(socket, 4);
      trips.push(performance.now() - began);
    }
    const [first, ...others] = trips;
    expect(first).toBeGreaterThan(198);
    expect(Math.min(...others)).toBeGreaterThan(98);
    expect(Math.min(...others)).toBeLessThan(120); // the others may meet a busy machine
  });

  test("connections share it, and each gets its own bytes in order", async () => {
    const { link } = await linkTo((socket) => socket.pipe(socket), {
      roundTripMs: 20,
      megabitsPerSecond: 100,
    });
    const sockets = await Promise.all([1, 2, 3, 4].map(() => connectTo(link)));
    const sent = sockets.map((_, i) =>
      Buffer.from(Uint8Array.from({ length: 1e6 }, (_, at) => (at * 31) >> i)),
    );
    const began = performance.now();
    const got = await Promise.all(
      sockets.map((socket, i) => {
        socket.write(sent[i]!);
        return received(socket, 1e6);
      }),
    );
    expect(performance.now() - began).toBeGreaterThan(4 * 80 + 20 - 5);
    for (const [i, bytes] of got.entries()) expect(bytes.equals(sent[i]!)).toBe(true);
  });

  test("a receiver that reads nothing holds the sender up; an end arrives after the last byte", async () => {
    const ended = Promise.withResolvers<number>();
    let read = 0;
    const start = Promise.withResolvers<void>();
    const { link } = await linkTo(
      (socket) => {
        socket.pause();
        socket.on("data", (piece) => {
          read += piece.length;
        });
        socket.on("end", () => ended.resolve(read));
        void start.promise.then(() => socket.resume());
      },
      { roundTripMs: 20, megabitsPerSecond: 10_000 },
    );
    const socket = await connectTo(link);
    const bytes = 200e6;
    socket.end(Buffer.alloc(bytes));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const { up } = await link.carried();
    expect(up).toBeGreaterThan(0);
    expect(up).toBeLessThan(bytes / 2); // what sockets and the wire hold
    start.resolve();
    expect(await ended.promise).toBe(bytes);
  });
});

test("bench/pipeline: a run through the link, against its parts alone", async () => {
  const [row] = await pipeline.run({ tiny: true });
  expect(Object.keys(row!.peers)).toEqual(["student alone", "teacher alone", "link"]);
  expect(row!.ratio).toBeCloseTo(row!.ours / Math.min(...Object.values(row!.peers)), 6);
  // The views of the steps went over the link.
  const views = 16 * 32 * 32 * 3;
  const steps = row!.details["steps counted"] as number;
  expect(row!.details["MB carried to the teacher"]).toBeGreaterThan((views * steps) / 1e6);
  expect(row!.details["steps counted"]).toBeGreaterThan(10);
});

async function linkTo(
  serve: (socket: Socket) => void,
  o: { roundTripMs: number; megabitsPerSecond: number },
): Promise<{ link: Link; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket.on("error", () => {})));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const link = await startLink(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, o);
  opened.push(link, { stop: () => server.close() });
  return { link, server };
}

async function connectTo({ url }: Link): Promise<Socket> {
  const socket = connect({ port: Number(new URL(url).port), host: "127.0.0.1", noDelay: true });
  opened.push({ stop: () => socket.destroy() });
  await once(socket, "connect");
  return socket;
}

/** Reads until so many bytes have come. */
function received(socket: Socket, bytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  return new Promise((resolve) => {
    const take = (piece: Buffer) => {
      pieces.push(piece);
      length += piece.length;
      if (length < bytes) return;
      socket.off("data", take);
      resolve(Buffer.concat(pieces));
    };
    socket.on("data", take);
  });
}
