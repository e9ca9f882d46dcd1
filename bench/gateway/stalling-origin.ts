import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A teacher that, once it is told to, reads no more of a body than comes with its head. */
export interface StallingOrigin {
  url: string;
  stall(): void;
  /** Bodies that it does not read. */
  stalled(): number;
  close(): void;
}

/**
 * A TCP server in front of a teacher on this machine. What asks for cards passes at all times.
 *
 * @param port the teacher's
 */
export async function openStallingOrigin(port: number): Promise<StallingOrigin> {
  let stalling = false;
  let stalled = 0;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  };
  const server = createServer((socket) => {
    const onward = connect(port, "127.0.0.1");
    for (const one of [socket, onward]) keep(one);
    onward.on("close", () => socket.destroy()).pipe(socket);
    socket.on("close", () => onward.destroy());
    socket.on("data", (piece) => {
      // A request's head is the beginning of a piece, since no client sends one before the last was answered.
      if (stalling && piece.subarray(0, 5).equals(POST)) {
        stalled++;
        socket.pause();
      } else if (!onward.write(piece)) {
        socket.pause();
        onward.once("drain", () => socket.resume());
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stall() {
      stalling = true;
    },
    stalled: () => stalled,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const POST = Buffer.from("POST ");
