import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { getRequestListener } from "@hono/node-server";
import { afterAll } from "vitest";
import { nodePlatform } from "../../../edge-gateway/node.ts";
import { listen } from "../../../edge-gateway/serve.ts";
import { readSettings } from "../../../edge-gateway/settings.ts";
import { fakeIssuer } from "../fake-issuer.ts";
import { fakeTeacher } from "../fake-teacher.ts";
import type { Host } from "./host.ts";
import { oidc, VARIABLES } from "./settings.ts";

// Each test file has a teacher, a folder and a gateway of its own, and talks to them over sockets.
const teacher = fakeTeacher({ secret: VARIABLES.TEACHER_SECRET, audience: VARIABLES.AUDIENCE });
const teacherServer = createServer(getRequestListener(teacher.fetch));
const teacherUrl = await started(teacherServer);
const issuerServer = createServer(getRequestListener(fakeIssuer(() => issuer)));
const issuer = await started(issuerServer);
const stateDir = mkdtempSync(join(tmpdir(), "funmatch-gateway-"));
const settingsWith = (changed: Record<string, unknown> = {}) =>
  readSettings({ ...VARIABLES, TEACHER_URL: teacherUrl, OIDC: oidc(issuer), ...changed });

let platform = nodePlatform(settingsWith(), stateDir);
let gateway = await listen(platform, { host: "127.0.0.1", port: 0 });

afterAll(async () => {
  await gateway.close();
  platform.close();
  for (const server of [teacherServer, issuerServer]) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(stateDir, { recursive: true });
});

async function started(server: Server): Promise<string> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export const host: Host = {
  name: "node",
  teacher: teacherUrl,
  issuer,
  fetch: (path, request) => fetch(gateway.url + path, { ...request, duplex: "half" } as RequestInit),
  platform: (changed) => ({ ...platform, settings: settingsWith(changed) }),
  async restart() {
    await gateway.close();
    platform.close();
    platform = nodePlatform(settingsWith(), stateDir);
    gateway = await listen(platform, { host: "127.0.0.1", port: 0 });
  },
  async storedKey(id) {
    const database = new DatabaseSync(join(stateDir, "keys.sqlite"), { readOnly: true });
    try {
      return { ...database.prepare("SELECT * FROM keys WHERE id = ?").get(id) };
    } finally {
      database.close();
    }
  },
};
