// The gateway as a local process, for the demo and for tests. This file runs in Node; the Worker never imports it.
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export interface GatewayOptions {
  /** Where the teacher answers, or several of them. */
  teacherUrl: string | string[];
  /** Shared with the teacher; signs what goes to it. */
  secret: string;
  /** 0, the default: any free one. */
  port?: number;
  /** Where keys and cached answers stay; left out, they go when the gateway does. */
  stateDir?: string;
}

export interface LocalGateway {
  /** `http://127.0.0.1:<port>` */
  url: string;
  /** The process group that it runs in. */
  pid: number;
  /** Makes an API key. `models` left out: all of them. */
  createKey(
    team: string,
    scopes: ("train" | "eval" | "admin")[],
    models?: string[],
  ): Promise<{ id: string; key: string }>;
  /** Stops it and waits until it is gone. */
  close(): Promise<void>;
}

const root = resolve(import.meta.dirname, "..");
const START_MS = 60_000;
const STOP_MS = 5_000;

/**
 * Ends the process group when our end of its standard input closes, be it that we close it or that we are killed:
 * no gateway outlives the one that started it. A Ctrl-C at the terminal does not reach it, so a trainer can still
 * finish its step.
 */
const TIED_TO_US = '("$@" </dev/null; kill 0) & read -r _; kill 0';

/** No questions, no telemetry, no look at the network: what `wrangler dev` does besides serving. */
const QUIET = {
  CI: "true",
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  NO_COLOR: "1",
};

/**
 * Starts the real gateway, `wrangler dev`, on the loopback interface and waits until it answers.
 *
 * @throws Error with the last lines that wrangler printed, if it does not come up
 * @example
 * const gateway = await startGateway({ teacherUrl: "http://127.0.0.1:8500", secret });
 * const { key } = await gateway.createKey("demo", ["train", "eval"]);
 * await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
 * await gateway.close();
 */
export async function startGateway(o: GatewayOptions): Promise<LocalGateway> {
  const scratch = await mkdtemp(join(tmpdir(), "funmatch-gateway-"));
  const stateDir = o.stateDir ?? join(scratch, "state");
  await mkdir(stateDir, { recursive: true });
  // A key is stored under the pepper, so the two must live equally long.
  const pepper = await kept(join(stateDir, "pepper"));
  const adminToken = randomBytes(32).toString("hex");
  // By file, not by --var: command lines can be read by everybody on the machine.
  const envFile = join(scratch, "env");
  const settings = {
    ...(typeof o.teacherUrl === "string"
      ? { TEACHER_URL: o.teacherUrl }
      : { TEACHERS: JSON.stringify(o.teacherUrl.map((url) => ({ url }))) }),
    TEACHER_SECRET: o.secret,
    KEY_PEPPER: pepper,
    ADMIN_TOKEN: adminToken,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`);
  await writeFile(envFile, lines.join(""), { mode: 0o600 });

  const wrangler = join(
    dirname(createRequire(import.meta.url).resolve("wrangler/package.json")),
    "bin/wrangler.js",
  );
  const options = [
    ["--config", join(root, "wrangler.toml")],
    ["--env-file", envFile],
    ["--persist-to", stateDir],
    ["--ip", "127.0.0.1"],
    ["--port", String(o.port ?? 0)],
    ["--inspector-port", "0"],
    ["--show-interactive-dev-session", "false"],
  ];
  const command = [process.execPath, wrangler, "dev", "--local", ...options.flat()];
  const child = spawn("sh", ["-c", TIED_TO_US, "gateway", ...command], {
    cwd: root,
    env: {
      ...process.env,
      ...QUIET,
      WRANGLER_LOG_PATH: scratch,
      WRANGLER_REGISTRY_PATH: join(scratch, "registry"),
    },
    stdio: "pipe",
    detached: true,
  });
  const closed = once(child, "close"); // when the last of the group has let go of its output
  const close = async () => {
    child.stdin.end();
    const patience = setTimeout(() => killGroup(child), STOP_MS);
    await closed;
    clearTimeout(patience);
    await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
  };

  try {
    const url = await readyUrl(child);
    return { url, pid: child.pid ?? 0, createKey: keyMaker(url, adminToken), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The address that wrangler says it listens on. */
async function readyUrl(child: ChildProcessWithoutNullStreams): Promise<string> {
  let printed = "";
  const ready = new Promise<string>((resolve, reject) => {
    const failed = (why: string) => reject(new Error(`the gateway ${why}:\n${printed.slice(-2000)}`));
    const timer = setTimeout(() => failed(`did not start in ${START_MS / 1000} s`), START_MS);
    const listen = (chunk: Buffer) => {
      printed += chunk;
      const url = /Ready on (http:\S+)/.exec(printed)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.once("close", () => {
      clearTimeout(timer);
      failed("ended before it was ready");
    });
  });
  const url = await ready;
  // From here on its output is read and dropped: a full pipe would stop it.
  for (const stream of [child.stdout, child.stderr]) stream.removeAllListeners("data").resume();
  const alive = await fetch(`${url}/healthz`);
  if (!alive.ok) throw new Error(`the gateway answers /healthz with ${alive.status}`);
  return url;
}

function keyMaker(url: string, adminToken: string): LocalGateway["createKey"] {
  return async (team, scopes, models) => {
    const answer = await fetch(`${url}/admin/keys`, {
      method: "POST",
      headers: { authorization: `Bearer ${adminToken}` },
      body: JSON.stringify({ team, scopes, models }),
    });
    if (!answer.ok) throw new Error(`no key for ${team}: ${answer.status} ${await answer.text()}`);
    const { id, key } = (await answer.json()) as { id: string; key: string };
    return { id, key };
  };
}

/** The secret in a file, made if it is not there. */
async function kept(path: string): Promise<string> {
  try {
    await writeFile(path, randomBytes(32).toString("hex"), { mode: 0o600, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return readFile(path, "utf8");
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // it is gone already
  }
}
