import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { getRequestListener } from "@hono/node-server";
import { type LocalGateway, startGateway } from "funmatch-gateway/dev";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeKey } from "../../edge-gateway/admin/make-key.ts";
import { type NodePlatform, nodePlatform, sqlOf } from "../../edge-gateway/node.ts";
import { TeamTable } from "../../edge-gateway/quota/team.ts";
import { type Listening, listen } from "../../edge-gateway/serve.ts";
import { readSettings } from "../../edge-gateway/settings.ts";
import { encode, images } from "../edge-gateway/calls.ts";
import { type FakeTeacher, fakeTeacher } from "../edge-gateway/fake-teacher.ts";
import { barriers, chromiumPath } from "./browser.ts";

const executablePath = chromiumPath();
if (executablePath === undefined)
  console.log("no Chromium on PATH: the gateway's page is not tested in a browser");

const secret = "shared-by-gateway-and-teacher";
const adminToken = "lets-one-make-the-first-key";

describe.skipIf(executablePath === undefined)("the gateway's page in Chromium", () => {
  let browser: Browser;

  beforeAll(async () => {
    // The sandbox needs rights that a container may lack; what it opens is our own page.
    browser = await chromium.launch({ executablePath: executablePath!, args: ["--no-sandbox"] });
  });

  afterAll(async () => browser?.close());

  /** A window of its own; whatever the page's policy stops, or fails to load, is a failure. */
  async function openWindow(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ locale: "en-GB", ...options });
    const page = await context.newPage();
    page.on("console", (message) => {
      if (message.type() === "error" && !/status of 40\d/.test(message.text())) troubles.push(message.text());
    });
    page.on("pageerror", (error) => troubles.push(String(error)));
    return page;
  }
  const troubles: string[] = [];

  describe("in front of workerd", () => {
    let teacher: FakeTeacher;
    let server: Server;
    let gateway: LocalGateway;

    beforeAll(async () => {
      teacher = fakeTeacher({ secret, audience: "funmatch-teacher" });
      server = createServer(getRequestListener(teacher.fetch as (request: Request) => Promise<Response>));
      const teacherUrl = await listening(server);
      gateway = await startGateway({ teacherUrl, secret });
    });

    afterAll(async () => {
      await gateway?.close();
      server?.closeAllConnections();
      server?.close();
    });

    test("an administrator signs in by keyboard, makes a team and a key; the team sees its usage; the key is revoked", async () => {
      const admin = await openWindow();
      const { key: adminKey } = await gateway.createKey("ops", ["admin"]);
      await admin.goto(gateway.url);
      await admin.keyboard.press("Tab");
      expect(await admin.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
      await admin.keyboard.press("Tab");
      await admin.keyboard.type("fm_ops_not-a-key");
      await admin.keyboard.press("Enter");
      await admin.getByRole("alert").getByText("This key does not open the gateway.").waitFor();
      await admin.getByLabel("Your key").fill(adminKey);
      await admin.keyboard.press("Enter");
      await admin.getByRole("heading", { level: 1, name: "Team ops" }).waitFor();

      await admin.getByRole("link", { name: "All teams" }).click();
      await admin.getByLabel("Name").fill("clothing");
      await admin.getByRole("button", { name: "Make team" }).click();
      await admin.getByRole("status").getByText("The team is made.").waitFor();
      await admin.getByText("Change the quota").click();
      await admin.getByLabel("Images a month").fill("5,000");
      await admin.getByRole("button", { name: "Save the quota" }).click();
      await admin.getByText("5,000 of 5,000 left").waitFor();
      await admin.getByText("Make a key").click();
      await admin.getByRole("button", { name: "Make key" }).click();
      const key = (await admin.getByRole("textbox").textContent())!;
      expect(key).toMatch(/^fm_clothing_[0-9a-f]{64}$/);
      expect(await barriers(admin)).toEqual([]);
      expect(admin.url()).not.toContain(key.slice(-64));
      await admin.getByRole("link", { name: /back to the team/ }).click();
      expect(await admin.content()).not.toContain(key);

      const team = await openWindow();
      await team.goto(gateway.url);
      await team.getByLabel("Your key").fill(key);
      await team.getByRole("button", { name: "Sign in" }).click();
      await team.getByText("Nothing was asked in this time.").waitFor();
      expect(await team.evaluate("[document.cookie, localStorage.length, sessionStorage.length]")).toEqual([
        "",
        0,
        0,
      ]);
      const evaluation = await encode({ purpose: "eval", ...images(4, 1) });
      await post(key, await encode({ purpose: "train", ...images(32, 2) }));
      await post(key, evaluation);
      await expect.poll(() => post(key, evaluation), { timeout: 20_000 }).toBe("hit");
      const shown = async () => {
        await team.reload();
        return team.getByRole("main").textContent();
      };
      await expect.poll(shown, { timeout: 20_000 }).toMatch(/[1-9]\d* of \d+ evaluation calls/);
      await expect.poll(shown, { timeout: 20_000 }).toMatch(/4,964 of 5,000 left \(> 99 %\)/);
      await team.getByRole("img", { name: /^Images by hour\. \d+ in all/ }).waitFor();

      await admin.locator("summary", { hasText: "Revoke key" }).click();
      await admin.getByRole("button", { name: /^Revoke/ }).click();
      await admin.getByRole("status").getByText("The key is revoked.").waitFor();
      await team.reload();
      await team.getByRole("heading", { name: "Sign in" }).waitFor();
      expect(troubles).toEqual([]);
    });

    async function post(key: string, body: Uint8Array<ArrayBuffer>): Promise<string | null> {
      const answer = await fetch(`${gateway.url}/v1/models/prof/logits`, {
        method: "POST",
        body,
        headers: { authorization: `Bearer ${key}`, "content-type": "application/vnd.msgpack" },
      });
      expect(answer.status).toBe(200);
      return answer.headers.get("x-funmatch-cache");
    }
  });

  describe("in front of Node, with a month behind it", () => {
    const stateDir = mkdtempSync(join(tmpdir(), "funmatch-page-"));
    const settings = readSettings({
      ...{ TEACHER_URL: "http://127.0.0.1:9", TEACHER_SECRET: secret, ADMIN_TOKEN: adminToken },
      KEY_PEPPER: "mixed-into-every-stored-key",
    });
    let platform: NodePlatform;
    let gateway: Listening;

    beforeAll(async () => {
      await bookMonth(join(stateDir, "team-clothing.sqlite"));
      platform = nodePlatform(settings, stateDir);
      await platform.keys.addTeam("plants");
      await makeKey(platform, { team: "clothing", scopes: ["train", "eval"] });
      await makeKey(platform, { team: "clothing", scopes: ["eval"], models: ["bit-m-r152x2"] });
      gateway = await listen(platform, { host: "127.0.0.1", port: 0 });
    });

    afterAll(async () => {
      await gateway?.close();
      platform?.close();
      rmSync(stateDir, { recursive: true });
    });

    test.each([1280, 320])("nothing keeps anybody out, %d pixels wide, light and dark", async (width) => {
      const page = await openWindow({ viewport: { width, height: 800 } });
      const folder = process.env.FUNMATCH_SCREENSHOTS;
      const look = async (name: string) => {
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme });
          expect(await barriers(page, colorScheme === "light" ? "all" : "colours")).toEqual([]);
          const path = `${folder}/${name}-${colorScheme}-${width}.png`;
          if (folder !== undefined) await page.screenshot({ path, fullPage: true });
        }
        expect(await page.evaluate("document.documentElement.scrollWidth"), `${name} overflows`).toBe(width);
      };
      await page.goto(gateway.url);
      await look("sign-in");
      await page.getByLabel("Your key").fill("wrong");
      await page.keyboard.press("Enter");
      await page.getByRole("alert").waitFor();
      await look("wrong-key");
      await page.getByLabel("Your key").fill(adminToken);
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "All teams" }).waitFor();
      await look("teams");
      await page.getByRole("link", { name: "plants" }).click();
      await look("empty");
      for (const period of ["day", "week", "month"]) {
        await page.goto(`${gateway.url}/page/teams/clothing?period=${period}`);
        await page.getByRole("img", { name: /^Images by (hour|day)/ }).waitFor();
        if (folder !== undefined) await look(`team-${period}`);
      }
      for (const summary of await page.locator("summary").all()) await summary.click();
      await look("open");
      await page.goto(`${gateway.url}/page/nowhere`);
      await look("nowhere");
      expect(troubles).toEqual([]);
    });
  });
});

/** Two models' calls by day and night over thirty days, as they would have come in. */
async function bookMonth(path: string): Promise<void> {
  let now = Date.now();
  const database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
  const team = new TeamTable(sqlOf(database), () => now);
  const end = now;
  const none = { imagesPerMinute: null, burstImages: null, imagesInFlight: null };
  const defaults = { ...none, imagesPerMonth: null, bytesPerMonth: null };
  // Every hour of the last week, before that every sixth.
  for (let hour = 30 * 24; hour >= 0; hour -= hour > 168 ? 6 : 1) {
    now = end - hour * 3_600_000;
    const busy = 1 + Math.round(3 * (1 + Math.sin(hour / 3.8)));
    for (const [model, purpose, calls] of [
      ["bit-m-r152x2", "train", busy],
      ["vit-s8", "train", Math.max(0, busy - 3)],
      ["bit-m-r152x2", "eval", hour % 3 === 0 ? 4 : 1],
    ] as const) {
      for (let call = 0; call < calls; call++) {
        const requestId = `${model} ${purpose} ${hour} ${call}`;
        const asked = {
          requestId,
          model,
          purpose,
          images: 96 + 8 * (hour % 5),
          bytes: 4_718_700,
          digest: null,
        };
        const { lease } = await team.admit({ ...asked, leaseMs: 1000 }, defaults);
        if (lease !== null) await team.settle(lease, purpose === "eval" && call > 0 ? "hit" : "answered");
      }
    }
  }
  await team.setQuota({
    imagesPerMinute: 6000,
    burstImages: 1024,
    imagesInFlight: 2048,
    imagesPerMonth: 20_000,
  });
  database.close();
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((up) => void server.listen(0, "127.0.0.1", up));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
