import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare, type V4MiniflareOptions } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { VARIABLES } from "../edge-gateway/hosts/settings.ts";

const root = join(import.meta.dirname, "../..");

/** Two Workers of one gateway, as `wrangler deploy` bundles it. */
export interface TwoGateways {
  urls: [string, string];
  /** Ends both and starts them again, at other addresses; what they stored is there. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts both in workerd. The second binds the first's Durable Objects by `script_name`; the bucket is the same.
 *
 * @param variables what both are told beside secrets
 */
export async function startTwoGateways(variables: Record<string, unknown>): Promise<TwoGateways> {
  const scratch = mkdtempSync(join(tmpdir(), "funmatch-two-gateways-"));
  const built = spawnSync(
    join(root, "node_modules/.bin/wrangler"),
    ["deploy", "--dry-run", "--outdir", scratch, "--config", join(root, "wrangler.toml")],
    { cwd: root, encoding: "utf8", env: { ...process.env, CI: "true", WRANGLER_SEND_METRICS: "false" } },
  );
  if (built.status !== 0) throw new Error(`wrangler deploy --dry-run: ${built.stderr}`);
  let workers = await start(scratch, variables);
  const gateways: TwoGateways = {
    urls: await urlsOf(workers),
    async restart() {
      await workers.dispose();
      workers = await start(scratch, variables);
      gateways.urls = await urlsOf(workers);
    },
    async close() {
      await workers.dispose();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
  return gateways;
}

async function start(scratch: string, variables: Record<string, unknown>): Promise<Miniflare> {
  const { workerOptions: read } = unstable_getMiniflareWorkerOptions(join(root, "wrangler.toml"));
  const { modulesRules: _, ...workerOptions } = read; // for source files; what runs here is one bundle
  const worker = (name: string) => ({
    ...workerOptions,
    name,
    modules: true,
    rootPath: scratch,
    scriptPath: join(scratch, "worker.js"),
    bindings: { ...VARIABLES, ...variables },
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
  });
  const shared = Object.entries(workerOptions.durableObjects ?? {}).map(([binding, object]) => {
    const { className } = object as { className: string };
    return [binding, { className, scriptName: "gateway-a", useSQLite: true }];
  });
  const options = {
    workers: [worker("gateway-a"), { ...worker("gateway-b"), durableObjects: Object.fromEntries(shared) }],
    resourcePersistencePath: join(scratch, "state"),
  };
  const workers = new Miniflare(convertV4MiniflareOptions(options as V4MiniflareOptions));
  await workers.ready;
  return workers;
}

async function urlsOf(workers: Miniflare): Promise<[string, string]> {
  const url = async (name: string) => (await workers.unsafeGetDirectURL(name)).href.replace(/\/$/, "");
  return [await url("gateway-a"), await url("gateway-b")];
}
