import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { cardSchema } from "@funmatch/wire";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, describe, expect, test } from "vitest";
import { bodyOf, logitsOf, post, refusal } from "./ask.ts";
import { noise, writeTeacher } from "./tiny-teacher.ts";

const CLI = fileURLToPath(new URL("../../teacher-service/cli.ts", import.meta.url));
const images = (count: number) => bodyOf({ pixels: noise(count * 32 * 32 * 3), shape: [count, 32, 32, 3] });
const run = (...args: string[]) => spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8" });

const started: ChildProcess[] = [];
afterAll(() => {
  for (const child of started) child.kill("SIGKILL");
});

async function startService(configPath: string): Promise<TeacherProcess> {
  const service = await startTeacherService(configPath);
  started.push(service.child);
  return service;
}

/** A service from its first second, before its models are ready. */
async function spawnService(configPath: string): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [CLI, "serve", configPath], { stdio: ["ignore", "pipe", "inherit"] });
  started.push(child);
  for await (const line of createInterface({ input: child.stdout! })) {
    const { msg, url } = JSON.parse(line) as { msg: string; url: string };
    if (msg === "listening") return { url, child };
  }
  throw new Error("the service ended before it listened");
}

describe("loading", () => {
  test("the port is open at once; requests are told how far it is and when to come back", async () => {
    const { configPath } = await writeTeacher({});
    const { url, child } = await spawnService(configPath);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    const response = await post(url, images(1));
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    const problem = (await response.json()) as { code: string; progress: number };
    expect(problem).toMatchObject({ code: "loading", status: 503, progress: expect.any(Number) });
    const card = cardSchema.parse(await (await fetch(`${url}/v1/models/tiny`)).json());
    expect(card).toMatchObject({ state: "loading", progress: expect.any(Number) });
    expect(await (await fetch(`${url}/v2/health/live`)).json()).toEqual({ live: true });
    expect(await (await fetch(`${url}/v2/health/ready`)).json()).toEqual({ ready: false });
    expect(await (await fetch(`${url}/v2/models/tiny/ready`)).json()).toEqual({ name: "tiny", ready: false });
    const metadata = await fetch(`${url}/v2/models/tiny`);
    expect([metadata.status, Number(metadata.headers.get("retry-after")) > 0]).toEqual([503, true]);
    expect(await metadata.json()).toEqual({ error: expect.stringMatching(/tiny is loading: \d+ % done/) });
    child.kill("SIGTERM");
    expect((await once(child, "exit"))[0]).toBe(0);
  });

  test("a weight file that is none ends the service with one line", async () => {
    const { configPath, weightsPath } = await writeTeacher({});
    writeFileSync(weightsPath, "this is no archive");
    const { status, stderr } = run("serve", configPath);
    expect(status).toBe(2);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toContain("teacher.npz");
  });
});

describe("the end", () => {
  test("SIGTERM finishes what is in flight and waits, takes nothing new, and exits with 0", async () => {
    const { configPath } = await writeTeacher({});
    const service = await startService(configPath);
    const waiting = async () =>
      Number(
        /funmatch_waiting_requests.* (\d+)/.exec(await (await fetch(`${service.url}/metrics`)).text())?.[1],
      );
    const answers = [post(service.url, images(400))];
    await expect.poll(waiting, { interval: 5, timeout: 20_000 }).toBe(1);
    answers.push(post(service.url, images(3)));
    await expect.poll(waiting, { interval: 5, timeout: 20_000 }).toBe(2);
    const ended = service.close();
    const lengths = await Promise.all(answers.map(async (answer) => (await logitsOf(await answer)).length));
    expect(lengths).toEqual([2800, 21]);
    expect(await ended).toBe(0);
    await expect(fetch(service.url)).rejects.toThrow();
  });
});

test("connections on which nothing is asked, or nothing whole, do not delay the end", async () => {
  const { configPath } = await writeTeacher({ batchSizes: [1] });
  const service = await startService(configPath);
  const { hostname, port } = new URL(service.url);
  const dial = async (text: string) => {
    const socket = connect(Number(port), hostname).on("error", () => {});
    await once(socket, "connect");
    socket.resume().write(text);
    return once(socket, "close");
  };
  const closed = [
    dial(""),
    dial("GET /healthz HTTP/1.1\r\nhost: t"),
    dial("GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n"),
  ];
  await fetch(`${service.url}/healthz`);
  const started = performance.now();
  expect(await service.close()).toBe(0);
  expect(performance.now() - started).toBeLessThan(15_000); // drainSeconds are 30
  await Promise.all(closed);
});

test("a service whose log nobody reads any more still ends", async () => {
  const { configPath } = await writeTeacher({ batchSizes: [1] });
  const { child } = await spawnService(configPath);
  child.stdout!.destroy();
  child.kill("SIGTERM");
  expect((await once(child, "exit"))[0]).toBe(0);
});

describe("a model that does not resize", () => {
  test("refuses images of another size, naming the right one", async () => {
    const { configPath } = await writeTeacher({ modelExtra: ", resize: false", batchSizes: [1] });
    const service = await startService(configPath);
    const body = bodyOf({ pixels: noise(16 * 16 * 3), shape: [1, 16, 16, 3] });
    const response = await post(service.url, body);
    expect(await refusal(response.clone())).toEqual([422, "shape_mismatch"]);
    expect(await response.text()).toContain("[N,32,32,3]");
    expect(await service.close()).toBe(0);
  });
});

describe("commands", () => {
  test("check says what would be served, card prints the card", async () => {
    const { configPath } = await writeTeacher({ batchSizes: [1] });
    const checked = run("check", configPath);
    expect(checked.stdout).toContain("tiny: ready, sha256:");
    expect(checked.stdout).toContain("7 classes");
    expect(checked.stdout).toContain("bit 1-1-1-1 x0.5");
    expect(checked.stdout).toMatch(/batch {4}1 +[\d.]+ images\/s/);
    expect(checked.status).toBe(0);
    const [card] = JSON.parse(run("card", configPath).stdout) as unknown[];
    expect(cardSchema.parse(card)).toMatchObject({ id: "tiny", state: "ready", classes: 7 });
  });

  test.each([
    ["no such file", "nowhere.yaml", "", "there is no config file nowhere.yaml"],
    ["a misspelt key", "", "lissten: { port: 1 }", 'did you mean "listen"?'],
    ["labels of another number", "", "", "labels: 2 are given"],
  ])("%s is one line, without a stack", async (what, path, extra, message) => {
    const modelExtra = what.startsWith("labels") ? ", labels: [a, b]" : "";
    const { configPath } = await writeTeacher({ extra, modelExtra });
    const { status, stderr } = run("check", path || configPath);
    expect(stderr).toContain(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(status).toBe(2);
  });
});
