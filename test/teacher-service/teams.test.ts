import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bodyOf, logitsOf, post, refusal } from "./ask.ts";
import { noise, writeTeacher } from "./tiny-teacher.ts";

const CLI = fileURLToPath(new URL("../../teacher-service/cli.ts", import.meta.url));
const lineOf = (team: string, key: string) =>
  `${team}: sha256:${createHash("sha256").update(key).digest("hex")}\n`;
const KEYS = ["vision", "speech", "greedy"].map((team) => lineOf(team, `${team}-key`)).join("");
const images = (count: number) => bodyOf({ pixels: noise(count * 32 * 32 * 3), shape: [count, 32, 32, 3] });
const log: string[] = [];

let service: TeacherProcess;
let keysPath: string;
let configPath: string;

beforeAll(async () => {
  const written = await writeTeacher({
    extra: `keys: team-keys
tokens: [open-sesame]
teams:
  greedy: { concurrentImages: 800 }
  vision: { weight: 3 }
`,
  });
  configPath = written.configPath;
  keysPath = join(dirname(configPath), "team-keys");
  writeFileSync(keysPath, KEYS);
  service = await startTeacherService(configPath, { onLog: (line) => log.push(line) });
});
afterAll(async () => {
  expect(await service?.close()).toBe(0);
  expect(log.join("\n")).not.toMatch(/(vision|speech|greedy|new)-key|open-sesame/);
});

const askAs = (team: string, count: number, headers: Record<string, string> = {}) =>
  post(service.url, images(count), { headers: { authorization: `Bearer ${team}-key`, ...headers } });
const seconds = (count: number) => new Promise((resolve) => setTimeout(resolve, count * 1000));
const teamsIn = (lines: string[]) =>
  lines
    .filter((line) => line.includes('"request"'))
    .map((line) => (JSON.parse(line) as { team: string }).team);

describe("keys", () => {
  test("say whose a request is; tokens are those of team local", async () => {
    log.length = 0;
    expect((await askAs("vision", 1)).status).toBe(200);
    expect((await askAs("speech", 1)).status).toBe(200);
    const token = { authorization: "Bearer open-sesame" };
    expect((await post(service.url, images(1), { headers: token })).status).toBe(200);
    await expect.poll(() => teamsIn(log)).toEqual(["vision", "speech", "local"]);
    expect(await refusal(await askAs("nobody", 1))).toEqual([401, "unauthenticated"]);
  });

  test("are read again when the file changes, and stay when the new ones are wrong", async () => {
    const replace = (text: string) => {
      writeFileSync(`${keysPath}.new`, text);
      renameSync(`${keysPath}.new`, keysPath);
    };
    replace(`${KEYS}vision: oops\n`);
    await expect.poll(() => log.join("\n"), { timeout: 20_000 }).toContain("team-keys line 4");
    expect((await askAs("vision", 1)).status).toBe(200);

    replace(KEYS.replace(lineOf("speech", "speech-key"), lineOf("speech", "new-key")));
    await expect.poll(() => log.join("\n"), { timeout: 20_000 }).toContain("keys are read again");
    expect(await refusal(await askAs("speech", 1))).toEqual([401, "unauthenticated"]);
    expect((await askAs("new", 1)).status).toBe(200);
    replace(KEYS);
    await expect.poll(async () => (await askAs("speech", 1)).status, { timeout: 20_000 }).toBe(200);
  });

  test("with a mistake in them end the start with one line", () => {
    const wrong = join(dirname(configPath), "wrong-keys");
    writeFileSync(wrong, "vision sha256:0\n");
    const other = join(dirname(configPath), "other.yaml");
    writeFileSync(
      other,
      "keys: wrong-keys\nmodels: { a: { format: npz, path: teacher.npz, resolution: 32, valueRange: [-1, 1] } }\n",
    );
    const { status, stderr } = spawnSync(process.execPath, [CLI, "serve", other], { encoding: "utf8" });
    expect(stderr).toContain("wrong-keys line 1: expected");
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(status).toBe(2);
  });
});

describe("limits", () => {
  test("are a team's own; whoever waits as told gets in", async () => {
    const busy = askAs("greedy", 800);
    let refused = await askAs("greedy", 8);
    while (refused.status === 200) refused = await askAs("greedy", 8);
    expect(refused.status).toBe(429);
    expect((await askAs("speech", 8)).status).toBe(200);
    const told = Number(refused.headers.get("retry-after"));
    expect(await refused.json()).toMatchObject({
      code: "overloaded",
      detail: expect.stringContaining("team greedy has 800 images in the queue"),
    });
    await seconds(told);
    expect((await askAs("greedy", 8)).status).toBe(200);
    expect((await busy).status).toBe(200);
    expect(await refusal(await askAs("greedy", 801))).toEqual([413, "too_large"]);
  });
});

describe("shares", () => {
  test("are those of the weights while both teams flood, and every request is answered", async () => {
    let flooding = true;
    const answered = { vision: 0, speech: 0 };
    const body = images(16);
    // So many that neither ever has nothing waiting, however slow this process is.
    const flood = (team: "vision" | "speech", connections: number) =>
      Array.from({ length: connections }, async () => {
        const headers = { authorization: `Bearer ${team}-key` };
        while (flooding) {
          expect(await logitsOf(await post(service.url, body, { headers }))).toHaveLength(16 * 7);
          answered[team] += 1;
        }
      });
    const floods = [...flood("vision", 48), ...flood("speech", 16)];
    await expect.poll(() => answered.speech, { timeout: 40_000 }).toBeGreaterThan(8);
    const begun = { ...answered };
    await expect.poll(() => answered.speech, { timeout: 40_000 }).toBeGreaterThan(begun.speech + 40);
    const ratio = (answered.vision - begun.vision) / (answered.speech - begun.speech);
    flooding = false;
    await Promise.all(floods);
    expect(ratio).toBeGreaterThan(2);
    expect(ratio).toBeLessThan(4);
  });
});
