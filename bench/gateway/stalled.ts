import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { MSGPACK_TYPE } from "@funmatch/wire";
import { type Call, makeCall, timed } from "./calls.ts";
import { type Host, startFastTeacher } from "./hosts.ts";
import { openStallingOrigin } from "./stalling-origin.ts";

const PIECE = 65_536;

/** How long a gateway is watched once its teacher is gone: it hears its clients out. */
const AFTERWARDS_MS = 5000;

/** Resident memory of a gateway whose teacher takes no bodies, in MB. */
export interface Stalled {
  baseline: number;
  /** While all uploads are stalled, and over the whole time: in the end the teacher goes, and clients are heard out. */
  waiting: number;
  peak: number;
  /** Uploads that were open when the stall ended, and connections that carried them to the teacher. */
  uploads: number;
  connections: number;
  /** What clients had sent by then, in MB: what they could not send, they were still pushing. */
  sent: number;
}

/**
 * Uploads at once, over sockets of their own, into an origin that reads no bodies. Until it stalls it is a fast teacher,
 * so that the baseline is that of a gateway that has worked; its cards are read all the time, so that the gateway has no
 * reason to break off.
 *
 * @param o.seconds how long the uploads are stalled
 */
export async function uploadsIntoStalled(
  start: (teacherUrl: string) => Promise<Host>,
  o: { uploads: number; images: number; seconds: number },
): Promise<Stalled> {
  const teacher = await startFastTeacher();
  const origin = await openStallingOrigin(Number(new URL(teacher.url).port));
  const host = await start(origin.url);
  const call = makeCall("train", o.images, 256);
  const clients: Socket[] = [];
  try {
    for (let i = 0; i < 8; i++) await timed(host, call);
    await sleep(1000);
    const baseline = residentMb(host.pid);
    origin.stall();
    for (let i = 0; i < o.uploads; i++) clients.push(upload(host, call));
    const waiting = await most(host.pid, o.seconds * 1000);
    const uploads = clients.filter(
      ({ destroyed, writableLength }) => !destroyed && writableLength > 0,
    ).length;
    const sent = clients.reduce((sum, one) => sum + one.bytesWritten - one.writableLength, 0) / 1e6;
    const connections = origin.stalled();
    origin.close();
    const peak = Math.max(waiting, await most(host.pid, AFTERWARDS_MS));
    return { baseline, waiting, peak, uploads, connections, sent };
  } finally {
    for (const client of clients) client.destroy();
    await host.close();
    origin.close();
    await teacher.close();
  }
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
  // Piece by piece, so that what waits here is not taken for sent.
  const pieces = Array.from({ length: Math.ceil(body.length / PIECE) }, (_, i) =>
    body.subarray(i * PIECE, (i + 1) * PIECE),
  );
  Readable.from([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), ...pieces]).pipe(socket, { end: false });
  return socket;
}

/** The most resident memory that a process has during a time. */
async function most(pid: number, ms: number): Promise<number> {
  let peak = 0;
  for (const end = performance.now() + ms; performance.now() < end; await sleep(20))
    peak = Math.max(peak, residentMb(pid));
  return peak;
}

function residentMb(pid: number): number {
  const kb = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  return (kb * 1024) / 1e6;
}
