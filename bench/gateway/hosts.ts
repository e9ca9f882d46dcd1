import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTwoGateways } from "../../test/e2e/two-gateways.ts";
import { VARIABLES } from "../../test/edge-gateway/hosts/settings.ts";

/** A gateway that runs, in a process of its own. */
export interface Host {
  name: "workerd" | "Node";
  url: string;
  key: string;
  pid: number;
  close(): Promise<void>;
}

/** The bundle that `wrangler deploy` makes, in workerd as it stands: `wrangler dev` has a proxy in front. */
export async function startWorkerd(teacherUrl: string): Promise<Host> {
  const others = new Set(workerds());
  const gateways = await startTwoGateways({ TEACHER_URL: teacherUrl });
  const [pid] = workerds().filter((each) => !others.has(each));
  if (pid === undefined) throw new Error("there is no new process called workerd");
  const [url] = gateways.urls;
  return { name: "workerd", url, key: await makeKey(url), pid, close: gateways.close };
}

/** `funmatch-gateway serve`. */
export async function startNode(teacherUrl: string): Promise<Host> {
  const folder = mkdtempSync(join(tmpdir(), "funmatch-bench-gateway-"));
  const { AUDIENCE, TEACHER_SECRET, KEY_PEPPER, ADMIN_TOKEN } = VARIABLES;
  const config = {
    ...{ listen: { port: 0 }, stateDir: "state", teacherUrl, audience: AUDIENCE },
    ...{ teacherSecret: TEACHER_SECRET, keyPepper: KEY_PEPPER, adminToken: ADMIN_TOKEN },
  };
  writeFileSync(join(folder, "gateway.yaml"), JSON.stringify(config)); // JSON is YAML
  const cli = join(import.meta.dirname, "../../edge-gateway/cli.ts");
  const child = spawn(process.execPath, [cli, "serve", join(folder, "gateway.yaml")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const url = /http:\S+/.exec(line.toString())?.[0];
  if (url === undefined) throw new Error(`the gateway said ${line}`);
  const close = async () => {
    await ended(child);
    rmSync(folder, { recursive: true, force: true });
  };
  return { name: "Node", url, key: await makeKey(url), pid: child.pid!, close };
}

/** {@link file://./fast-teacher.ts} */
export async function startFastTeacher(): Promise<{ url: string; close(): Promise<void> }> {
  const child = fork(join(import.meta.dirname, "fast-teacher.ts"));
  const [port] = (await once(child, "message")) as [number];
  return { url: `http://127.0.0.1:${port}`, close: () => ended(child) };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

async function makeKey(url: string): Promise<string> {
  const answer = await fetch(`${url}/admin/keys`, {
    method: "POST",
    headers: { authorization: `Bearer ${VARIABLES.ADMIN_TOKEN}` },
    body: JSON.stringify({ team: "bench", scopes: ["train", "eval"] }),
  });
  if (!answer.ok) throw new Error(`no key: ${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { key: string }).key;
}

/** Processes of that name that this one started. */
function workerds(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [, name, rest] = /\((.*)\) (.*)/.exec(readFileSync(`/proc/${pid}/stat`, "latin1")) ?? [];
        return name === "workerd" && Number(rest?.split(" ")[1]) === process.pid;
      } catch {
        return false; // ended meanwhile
      }
    });
}
