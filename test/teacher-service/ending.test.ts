import { type ChildProcess, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { modelListSchema } from "@funmatch/wire";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, describe, expect, test } from "vitest";
import { openTeacher } from "../../student-trainer/teach/client.ts";
import { bodyOf, digestOf, metric, post } from "./ask.ts";
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

/** A small teacher of large pictures takes its time. */
const SLOW = { resolution: 128, batchSizes: [8] };
/** Asks for so many images, and waits until they are being computed. */
async function busy(url: string, count: number): Promise<{ answer: Promise<Response | undefined> }> {
  const answer = post(url, images(count)).catch(() => undefined);
  await expect
    .poll(() => metric(url, "funmatch_batch_images_count"), { interval: 5, timeout: 20_000 })
    .toBeGreaterThan(0);
  return { answer };
}

describe("models that are loaded on first use", () => {
  test("the list loads nothing; a call is told to come back; a trainer that reads the card waits and pins; idle, it goes and comes back as it was", {
    timeout: 150_000,
  }, async () => {
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
  test("from SIGTERM on nothing new is begun, also on connections that were there before", async () => {
    const service = await start(SLOW);
    const { hostname, port } = new URL(service.url);
    const { answer } = await busy(service.url, 80);
    const heard = Array.from({ length: 6 }, async (_, i) => {
      const socket = connect(Number(port), hostname).on("error", () => {});
      await once(socket, "connect");
      socket.write(i % 2 ? "GET /readyz HTTP/1.1\r\n" : "POST /v1/models/tiny/logits HTTP/1.1\r\n");
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
      });
      const closed = once(socket, "close");
      await service.says("draining");
      const body = i % 2 ? "" : "content-type: application/vnd.msgpack\r\ncontent-length: 5000\r\n";
      socket.write(`host: t\r\n${body}\r\n`);
      await closed;
      return text.toLowerCase();
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const ended = service.close();
    // Those that are silent for too long are closed without a word.
    for (const text of await Promise.all(heard))
      if (text !== "") {
        expect(text).toMatch(/^http\/1.1 503 /);
        expect(text).toContain("connection: close");
      }
    expect((await answer)!.status).toBe(200);
    expect(await ended).toBe(0);
  });

  test("drainSeconds after SIGTERM the rest is cut off, which the exit status tells", async () => {
    const service = await start({ ...SLOW, extra: "drainSeconds: 1" });
    const { answer } = await busy(service.url, 1000);
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

  test("a weights file that is none is named, with no trace of our code, and the process ends", async () => {
    const { configPath, weightsPath } = await writeTeacher({});
    writeFileSync(weightsPath, "weights, promised");
    const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, "serve", configPath], {
      encoding: "utf8",
    });
    const failed = stdout.split("\n").find((line) => line.includes("model failed"));
    expect(JSON.parse(failed!).err).toEqual({
      type: "ArrayFileError",
      message: expect.stringContaining(`${weightsPath} is not an .npz file`),
    });
    expect(stderr).toContain(`model tiny: ${weightsPath} is not an .npz file`);
    expect(status).toBe(2);
  });

  test("a list of models to load must name some that there are", async () => {
    const { configPath } = await writeTeacher({ extra: "load: [tinny]" });
    const { status, stderr } = spawnSync(process.execPath, [CLI, "check", configPath], { encoding: "utf8" });
    expect(stderr).toContain('there is no model "tinny"; there is tiny');
    expect(status).toBe(2);
  });
});
