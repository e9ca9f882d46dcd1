import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bodyOf, logitsOf, metric, post } from "./ask.ts";
import { noise, writeTeacher } from "./tiny-teacher.ts";

/** Clients that speak HTTP badly, slowly or not at all, written byte by byte. */

const BODY = bodyOf({ pixels: noise(32 * 32 * 3), shape: [1, 32, 32, 3] });
const MiB = 2 ** 20;
let service: TeacherProcess;

beforeAll(async () => {
  const { configPath } = await writeTeacher({ extra: "limits: { maxBodyBytes: 4000000, timeoutMs: 10000 }" });
  service = await startTeacherService(configPath);
});
afterAll(async () => {
  expect(await service?.close()).toBe(0);
});

function headOf(headers: Record<string, string | number>, path = "/v1/models/tiny/logits"): string {
  const all = { host: "teacher", "content-type": "application/vnd.msgpack", ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** A connection that gathers what it is told. */
async function dial(): Promise<{
  socket: Socket;
  heard: () => string;
  hears: (text: string) => Promise<void>;
}> {
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname).on("error", () => {});
  await once(socket, "connect");
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  const hears = async (wanted: string) => {
    while (!text.includes(wanted)) {
      if (socket.destroyed) throw new Error(`the connection ended before "${wanted}" came: ${text}`);
      await new Promise((resolve) => socket.once("data", resolve).once("close", resolve));
    }
  };
  return { socket, heard: () => text, hears };
}

async function works(): Promise<void> {
  expect(await logitsOf(await post(service.url, BODY))).toHaveLength(7);
}

describe("bodies that the service does not read", () => {
  test("too large: refused from the headers alone, at once", async () => {
    const { socket, hears, heard } = await dial();
    const started = performance.now();
    socket.write(headOf({ "content-length": 100 * MiB }));
    await hears('"too_large"');
    expect(performance.now() - started).toBeLessThan(5000); // before its deadline
    expect(heard()).toContain("HTTP/1.1 413");
    expect(heard()).toContain("maxBodyBytes is 4000000");
    expect(heard().toLowerCase()).toContain("connection: close");
    socket.destroy();
  });

  test("too large and sent regardless: the client sees the answer, and the connection ends", async () => {
    const { socket, hears } = await dial();
    let sent = 0;
    socket.write(headOf({ "content-length": 200 * MiB }));
    const pump = () => {
      while (!socket.destroyed && sent < 200 * MiB) {
        sent += 64 * 1024;
        if (!socket.write(Buffer.alloc(64 * 1024))) return;
      }
    };
    socket.on("drain", pump);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    pump();
    await hears('"too_large"');
    await closed;
    // 1 MiB is read; the rest is what the kernels' buffers took.
    expect(sent).toBeLessThan(32 * MiB);
  });

  test("chunked: 411", async () => {
    const { socket, hears, heard } = await dial();
    socket.write(`${headOf({ "transfer-encoding": "chunked" })}5\r\nhello\r\n0\r\n\r\n`);
    await hears('"length_required"');
    expect(heard()).toContain("HTTP/1.1 411");
    socket.destroy();
  });

  test("a short refused body leaves the connection usable", async () => {
    const { socket, hears } = await dial();
    socket.write(headOf({ "content-length": 5 }, "/v1/nothing"));
    socket.write("hello");
    await hears('"not_found"');
    socket.write(headOf({ "content-length": BODY.length }));
    socket.write(BODY);
    await hears("HTTP/1.1 200");
    socket.destroy();
  });

  test("a client that asks first is told before it sends", async () => {
    const { socket, hears, heard } = await dial();
    socket.write(headOf({ "content-length": BODY.length, expect: "100-continue" }));
    await hears("HTTP/1.1 100");
    socket.write(BODY);
    await hears("HTTP/1.1 200");
    socket.destroy();
    const refused = await dial();
    refused.socket.write(headOf({ "content-length": 100 * MiB, expect: "100-continue" }));
    await refused.hears("HTTP/1.1 413");
    expect(refused.heard()).not.toContain("HTTP/1.1 100");
    refused.socket.destroy();
    expect(heard()).toContain("x-funmatch-digest");
  });
});

describe("bodies that are not as announced", () => {
  test("shorter: malformed, as soon as the client stops", async () => {
    const { socket, hears, heard } = await dial();
    socket.write(headOf({ "content-length": BODY.length }));
    socket.write(BODY.subarray(0, 1000));
    socket.end();
    await hears('"malformed"');
    expect(heard()).toContain("shorter than its content-length");
    await works();
  });

  test("longer: the request is answered, what follows it is malformed", async () => {
    const { socket, hears } = await dial();
    socket.write(headOf({ "content-length": BODY.length }));
    socket.write(Buffer.concat([BODY, Buffer.from("and more")]));
    await hears('"malformed"');
    await works();
  });

  test("with a length other than the pixels need: malformed from the head", async () => {
    const { socket, hears } = await dial();
    socket.write(headOf({ "content-length": BODY.length + 1 }));
    socket.write(Buffer.concat([BODY, Buffer.from([0])]));
    await hears('"malformed"');
    socket.destroy();
  });

  test("empty", async () => {
    const { socket, hears } = await dial();
    socket.write(headOf({ "content-length": 0 }));
    await hears("the body is empty");
    socket.destroy();
  });

  test("slow: the deadline ends the wait", async () => {
    const { socket, hears } = await dial();
    socket.write(headOf({ "content-length": BODY.length, "x-funmatch-timeout-ms": 200 }));
    socket.write(BODY.subarray(0, 700));
    await hears('"deadline_exceeded"');
    socket.destroy();
  });

  test("byte by byte: still answered", async () => {
    const { socket, hears } = await dial();
    socket.setNoDelay(true);
    socket.write(headOf({ "content-length": BODY.length }));
    for (let i = 0; i < 300; i++) {
      socket.write(BODY.subarray(i, i + 1));
      if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    socket.write(BODY.subarray(300));
    await hears("HTTP/1.1 200");
    socket.destroy();
  });

  test("cut off by a vanished client: nothing is held any more", async () => {
    const { socket } = await dial();
    socket.write(headOf({ "content-length": BODY.length }));
    socket.write(BODY.subarray(0, 700));
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    const held = () => metric(service.url, "funmatch_held_bytes");
    await expect.poll(held).toBe(0);
    await works();
  });
});

test("a connection may ask a few things ahead, not thousands that would all be answered in memory", async () => {
  const ask = "GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n";
  const patient = await dial();
  patient.socket.write(ask.repeat(10));
  await expect.poll(() => patient.heard().split("HTTP/1.1 200").length - 1).toBe(10);
  patient.socket.destroy();
  const greedy = await dial();
  const closed = once(greedy.socket, "close");
  greedy.socket.write(ask.repeat(1000));
  await closed;
  await works();
});

test("what is no HTTP at all gets a problem and an end", async () => {
  const { socket, hears } = await dial();
  const closed = once(socket, "close");
  socket.write("\x16\x03\x01 hello\r\n\r\n");
  await hears('"malformed"');
  await closed;
  await works();
});

test("a client that asks for much and reads nothing is cut off", async () => {
  const { configPath } = await writeTeacher({ extra: "limits: { timeoutMs: 1000 }" });
  const other = await startTeacherService(configPath);
  const { hostname, port } = new URL(other.url);
  const socket = connect(Number(port), hostname).on("error", () => {});
  await once(socket, "connect");
  socket.pause();
  // 1.4 MB each: more than the kernels' buffers take of all.
  socket.write("GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: teacher\r\n\r\n".repeat(12));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  // Twice the service's patience: Node looks a second time at a connection that it is writing to.
  await new Promise((resolve) => setTimeout(resolve, 26_000));
  socket.resume(); // what had come is read, and then the end
  await closed;
  expect(socket.bytesRead).toBeLessThan(12 * 1_400_000);
  expect(await other.close()).toBe(0);
});
