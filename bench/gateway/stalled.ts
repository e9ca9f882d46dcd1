import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { MSGPACK_TYPE } from "@funmatch/wire";
import { type Call, makeCall, timed } from "./calls.ts";
import { type Host, startFastTeacher } from "./hosts.ts";

/** A gateway looks after its teacher when it has waited for so long. */
const LOOKED_AT_MS = 5000;

/** Resident memory of a gateway whose teacher takes nothing, in MB. */
export interface Stalled {
  baseline: number;
  /** Until the first looks fail, and over the whole time: then calls are broken off and clients heard out. */
  waiting: number;
  peak: number;
  /** Connections that reached the teacher. */
  connections: number;
}

/**
 * Uploads at once, over sockets of their own, into an origin that accepts connections and reads nothing. Until it stalls,
 * the origin is a fast teacher behind the same address, so that the baseline is that of a gateway that has worked.
 */
export async function uploadsIntoStalled(
  start: (teacherUrl: string) => Promise<Host>,
  o: { uploads: number; images: number; seconds: number },
): Promise<Stalled> {
  const teacher = await startFastTeacher();
  const origin = await openOrigin(Number(new URL(teacher.url).port));
  const host = await start(origin.url);
  const call = makeCall("train", o.images, 256);
  const clients: Socket[] = [];
  try {
    for (let i = 0; i < 8; i++) await timed(host, call);
    await sleep(1000);
    const baseline = residentMb(host.pid);
    origin.stall();
    for (let i = 0; i < o.uploads; i++) clients.push(upload(host, call));
    let peak = baseline;
    let waiting = baseline;
    const began = performance.now();
    while (performance.now() < began + o.seconds * 1000) {
      await sleep(20);
      peak = Math.max(peak, residentMb(host.pid));
      if (performance.now() < began + LOOKED_AT_MS) waiting = peak;
    }
    return { baseline, peak, waiting, connections: origin.stalled() };
  } finally {
    for (const client of clients) client.destroy();
    await host.close();
    origin.close();
    await teacher.close();
  }
}

/** A TCP server in front of a teacher that, once it is told to stall, reads nothing of any new connection. */
async function openOrigin(port: number) {
  let stalling = false;
  let stalled = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    if (stalling) return void stalled++;
    const onward = connect(port, "127.0.0.1").on("error", () => socket.destroy());
    sockets.add(onward);
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stalled: () => stalled,
    stall() {
      stalling = true;
      for (const socket of sockets) socket.destroy(); // connections that were kept, too
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** A client that sends as fast as it is taken; all share the same bytes. */
function upload({ url, key }: Host, { body }: Call): Socket {
  const { hostname, port, host } = new URL(url);
  const socket = connect(Number(port), hostname);
  const lines = [
    "POST /v1/models/prof/logits HTTP/1.1",
    `host: ${host}`,
    `authorization: Bearer ${key}`,
    `content-type: ${MSGPACK_TYPE}`,
    `content-length: ${body.length}`,
  ];
  socket.on("error", () => {}).resume();
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  for (let from = 0; from < body.length; from += 65_536) socket.write(body.subarray(from, from + 65_536));
  return socket;
}

function residentMb(pid: number): number {
  const kb = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  return (kb * 1024) / 1e6;
}
