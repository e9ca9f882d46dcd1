import { type ChildProcess, spawnSync } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { modelListSchema } from "@funmatch/wire";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, describe, expect, test } from "vitest";
import { openTeacher } from "../../student-trainer/teach/client.ts";
import { bodyOf, digestOf, post } from "./ask.ts";
import { noise, writeTeacher } from "./tiny-teacher.ts";

/** Real processes: what they say when they begin, and how they end. */

const CLI = fileURLToPath(new URL("../../teacher-service/cli.ts", import.meta.url));
const images = (count: number) => bodyOf({ pixels: noise(count * 32 * 32 * 3), shape: [count, 32, 32, 3] });
const started: ChildProcess[] = [];
afterAll(() => {
  for (const child of started) child.kill("SIGKILL");
});

async function start(
  o: Parameters<typeof writeTeacher>[0],
): Promise<TeacherProcess & { log: Record<string, unknown>[]; says: (msg: string) => Promise<void> }> {
  const { configPath } = await writeTeacher(o);
  const log: Record<string, unknown>[] = [];
  const onLog = (line: string) => {
    if (line.startsWith("{")) log.push(JSON.parse(line) as Record<string, unknown>);
  };
  const service = await startTeacherService(configPath, { onLog });
  started.push(service.child);
  const says = (msg: string) =>
    expect.poll(() => log.map((line) => line.msg), { timeout: 30_000, interval: 10 }).toContain(msg);
  return { ...service, log, says };
}

const metric = async (url: string, name: string): Promise<number> => {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:{[^}]*})? (.*)$`, "m").exec(text)?.[1]);
};
/** As many images as keep a small teacher of large pictures busy for seconds. */
const BUSY = { resolution: 128, batchSizes: [8] };
async function busy(url: string): Promise<Promise<Response | undefined>> {
  const answer = post(url, images(1000)).catch(() => undefined);
  await expect
    .poll(() => metric(url, "funmatch_batch_images_count"), { interval: 5, timeout: 20_000 })
    .toBeGreaterThan(0);
  return answer;
}

describe("models that are loaded on first use", () => {
  test("the list loads nothing; a call is told to come back; a trainer that reads the card waits and pins; idle, it goes and comes back as it was", async () => {
    const service = await start({ extra: "load: onUse\nunloadAfterSeconds: 1" });
    const { url } = service;
    const listed = async () => {
      const { models } = modelListSchema.parse(await (await fetch(`${url}/v1/models`)).json());
      return models[0]!;
    };
    expect(await listed()).toMatchObject({ state: "unloaded", version: "", classes: 0 });
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect(await listed()).toMatchObject({ state: "unloaded" });

    const told = await post(url, images(1));
    expect(told.status).toBe(503);
    expect(Number(told.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await told.json()).toMatchObject({
      code: "loading",
      progress: expect.any(Number),
      phase: expect.any(String),
    });
    expect(await listed()).toMatchObject({ state: "loading", progress: expect.any(Number) });

    await service.says("model unloaded");
    const waits: string[] = [];
    const teacher = await openTeacher({
      url: `${url}/v1/models/tiny`,
      patience: { attempts: 3, firstDelayMs: 50 },
      onWait: (why) => void waits.push(why),
    });
    expect(waits.join()).toContain("loading");
    const data = noise(32 * 32 * 3);
    const ask = () =>
      teacher.ask(
        { shape: [1, 32, 32, 3], data, digest: digestOf(data) },
        { purpose: "train", requestId: "a-step" },
      );
    const before = await ask();
    await expect.poll(async () => (await listed()).state, { timeout: 20_000 }).toBe("unloaded");
    expect((await listed()).version).toBe(before.version);
    // Its pin holds: the same files, the same version, the same bits.
    expect(await ask()).toMatchObject({ version: before.version, logits: before.logits });
    await teacher.close();
    expect(await service.close()).toBe(0);

    const [ready] = service.log.filter(({ msg }) => msg === "model ready");
    expect(ready!.seconds).toMatchObject({
      engine: expect.any(Number),
      weights: expect.any(Number),
      graph: expect.any(Number),
      probe: expect.any(Number),
      firstLogits: expect.any(Number),
    });
  });
});

describe("the end", () => {
  test("from SIGTERM on it is not ready, and whoever still asks on an old connection is sent elsewhere", async () => {
    const service = await start(BUSY);
    const { hostname, port } = new URL(service.url);
    const socket = connect(Number(port), hostname);
    let heard = "";
    socket.on("data", (chunk) => {
      heard += chunk.toString("latin1");
    });
    const body = images(80);
    const head = `POST /v1/models/tiny/logits HTTP/1.1\r\nhost: t\r\ncontent-type: application/vnd.msgpack\r\ncontent-length: ${body.length}\r\n\r\n`;
    socket.write(head);
    socket.write(body);
    await expect.poll(() => metric(service.url, "funmatch_held_bytes")).toBeGreaterThan(0);
    const ended = service.close();
    await service.says("draining");
    socket.write("GET /readyz HTTP/1.1\r\nhost: t\r\n\r\n");
    socket.write(head);
    socket.write(body);
    await once(socket, "close");
    expect(heard).toMatch(/^HTTP\/1.1 200 OK/);
    expect(await ended).toBe(0);
  });

  test("drainSeconds after SIGTERM the rest is cut off, which the exit status tells", async () => {
    const service = await start({ ...BUSY, extra: "drainSeconds: 1" });
    const answer = await busy(service.url);
    expect(await service.close()).toBe(3);
    expect(await answer).toBeUndefined();
  });

  test("a crash of native code ends the process by its signal", async () => {
    const service = await start({ batchSizes: [1] });
    service.child.kill("SIGABRT");
    expect(await once(service.child, "exit")).toEqual([null, "SIGABRT"]);
  });

  test("memory that runs out inside TensorFlow ends the process by a signal too", async () => {
    const { configPath } = await writeTeacher({ batchSizes: [1] });
    // Node alone needs 1.5 GB of address space, Node with TensorFlow 20.
    const limited = 'ulimit -v 8000000 && exec "$0" "$@"';
    const { signal, stderr } = spawnSync("sh", ["-c", limited, process.execPath, CLI, "serve", configPath], {
      encoding: "utf8",
    });
    expect(["SIGABRT", "SIGSEGV", "SIGTRAP"], stderr).toContain(signal);
  });

  test("a list of models to load must name some that there are", async () => {
    const { configPath } = await writeTeacher({ extra: "load: [tinny]" });
    const { status, stderr } = spawnSync(process.execPath, [CLI, "check", configPath], { encoding: "utf8" });
    expect(stderr).toContain('there is no model "tinny"; there is tiny');
    expect(status).toBe(2);
  });
});
