import type { Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { UserError } from "@funmatch/config";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { createApp } from "./app.ts";
import { openSecrets, type TeacherConfig } from "./config/config.ts";
import { usualMemory } from "./config/memory.ts";
import { teamRules } from "./config/team-rules.ts";
import { drainable } from "./connection/drain.ts";
import { tooManyDue } from "./connection/pipelining.ts";
import { hasUnreadBody, refuse } from "./connection/refusal.ts";
import { answerUnparsable } from "./connection/unparsable.ts";
import { EXIT } from "./exit-status.ts";
import { type Model, openModel } from "./life/model.ts";
import { openResidency } from "./life/residency.ts";
import { flushed, openLog } from "./observe/log.ts";
import { openMetrics } from "./observe/metrics.ts";
import { openTracing } from "./observe/tracing.ts";
import { passOptions } from "./queue/pass-options.ts";
import { openAuth } from "./request/auth.ts";
import { openKeyFile } from "./request/key-file.ts";
import { openRoom } from "./request/room.ts";
import type { Service } from "./service.ts";

/**
 * Runs the service until SIGTERM or SIGINT: listens at once, answers 503 `loading` until a model is
 * ready, and at the end finishes what is in flight.
 *
 * @returns the exit status: see {@link EXIT}
 * @throws UserError for a port or keys that cannot be had, or when no model could be loaded
 */
export async function serve(written: TeacherConfig): Promise<number> {
  // Node takes 64 KiB for whatever a socket brings, and V8 would stop everything to collect after each 64 MiB of them.
  setFlagsFromString("--external-memory-accounted-in-global-limit");
  const config = openSecrets(written);
  const log = openLog(config.logLevel);
  const room = openRoom({ limitBytes: config.limits.queueBytes, rules: teamRules(config.teams) });
  const models = new Map<string, Model>();
  const metrics = openMetrics({
    bytes: () => room.heldBytes,
    waiting: () => Object.fromEntries([...models].map(([id, model]) => [id, model.waitingRequests()])),
  });
  const starting = new Set(loadedAtStart(config));
  const { maxImages, maxBodyBytes, timeoutMs } = config.limits;
  const keys = config.keys === undefined ? undefined : await openKeyFile(config.keys, log);
  const service: Service = {
    models,
    limits: { maxImages, maxBodyBytes, timeoutMs },
    authenticate: openAuth({ ...config, keys }),
    room,
    metrics,
    tracing: await openTracing(config.tracing, log),
    log,
    starting,
    draining: false,
  };

  try {
    return await run(service, { models, starting }, config);
  } finally {
    keys?.close();
    await service.tracing.close();
    await flushed(log);
  }
}

async function run(
  service: Service,
  { models, starting }: { models: Map<string, Model>; starting: Set<string> },
  config: TeacherConfig,
): Promise<number> {
  const { log, metrics } = service;
  const server = createServer(service);
  const drain = drainable(server);
  // Before the address is told: whoever knows it may ask for the end at once.
  const stop = stopSignal();
  const url = await listen(server, config.listen);
  // Told at every log level: with port 0 nobody could know otherwise.
  log.child({}, { level: "info" }).info({ url }, "listening");

  const threads = useThreads(config);
  const { batchSizes, unloadAfterSeconds, memory = usualMemory() } = config;
  const { admit } = openResidency({ models, memory, unloadAfterSeconds, batchSizes, log });
  for (const [id, model] of Object.entries(config.models))
    models.set(id, openModel(id, model, { ...passOptions(config, model), threads, log, metrics, admit }));
  for (const id of [...starting])
    void models
      .get(id)!
      .load({ atStart: true })
      .catch(() => {})
      .finally(() => starting.delete(id));
  const why = await Promise.race([stop, noModelLeft(models)]);

  service.draining = true;
  log.info({ why, drainSeconds: config.drainSeconds }, "draining");
  const clean = await drain(config.drainSeconds);
  log.info({ clean }, "stopped");
  if (why === "failed") return EXIT.failed;
  return clean ? EXIT.drained : EXIT.cutOff;
}

/** Beyond the longest time that a request may take: how long nothing may move on a connection. */
const SILENCE_MS = 10_000;

function createServer(service: Service): Server {
  const app = createApp(service);
  const server = createAdaptorServer({
    // The bodies of refused requests are read by `refuse`, which reads less of them.
    autoCleanupIncoming: false,
    fetch: async (request, env) => {
      const { incoming, outgoing } = env as HttpBindings; // this server speaks no HTTP/2
      if (tooManyDue(incoming, outgoing)) {
        incoming.socket.destroy();
        return RESPONSE_ALREADY_SENT;
      }
      const response = await app.fetch(request, env);
      if (!hasUnreadBody(incoming) || outgoing.destroyed) return response;
      await refuse(incoming, outgoing, response);
      return RESPONSE_ALREADY_SENT;
    },
    serverOptions: {
      headersTimeout: 10_000,
      connectionsCheckingInterval: 2_000,
      requestTimeout: 0,
      keepAliveTimeout: 65_000,
    },
  }) as Server;
  // The body of a client that asks first is only asked for once its headers have passed: see inference.ts.
  server.on("checkContinue", (request, response) => server.emit("request", request, response));
  server.on("clientError", answerUnparsable);
  // A client that does not read its answers would have them held for ever; one that waits for a pass says nothing longest.
  server.setTimeout(service.limits.timeoutMs + SILENCE_MS, (socket: Socket) => socket.destroy());
  return server;
}

async function listen(server: Server, { host, port }: TeacherConfig["listen"]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).listen(port, host, resolve);
  try {
    await promise;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === "EADDRINUSE" ? "another program listens there" : message;
    throw new UserError(`cannot listen on ${host} port ${port}: ${why}`);
  }
  const address = server.address() as AddressInfo;
  return `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`;
}

/**
 * How many threads an operation gets. TensorFlow reads it from the environment when the first model's thread loads it.
 */
export function useThreads(config: TeacherConfig): number {
  const threads = config.threads ?? availableParallelism();
  process.env.TF_NUM_INTRAOP_THREADS = String(threads);
  return threads;
}

/** Names of the models that are loaded at start; the others wait for their first use. */
function loadedAtStart({ load, models }: TeacherConfig): string[] {
  if (Array.isArray(load)) return load;
  return load === "eager" ? Object.keys(models) : [];
}

/**
 * Settles when every model has failed for good.
 *
 * @throws UserError when none of them was ever loaded: then it is the config's fault, or the files'
 */
async function noModelLeft(models: ReadonlyMap<string, Model>): Promise<"failed"> {
  const failures = await Promise.all(
    [...models].map(async ([id, model]) => `model ${id}: ${(await model.failed).message}`),
  );
  if ([...models.values()].some(({ usage }) => usage.bytes !== undefined)) return "failed";
  throw new UserError(failures.join("; "));
}

/** The first SIGTERM or SIGINT; a second one ends the process at once, as if nobody had listened. */
function stopSignal(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const heard = (signal: NodeJS.Signals) => {
    process.off("SIGTERM", heard).off("SIGINT", heard);
    resolve(signal);
  };
  process.on("SIGTERM", heard).on("SIGINT", heard);
  return promise;
}
