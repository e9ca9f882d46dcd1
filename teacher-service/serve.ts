import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { availableParallelism } from "node:os";
import { UserError } from "@funmatch/config";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { createApp } from "./app.ts";
import { openAuth } from "./auth.ts";
import { openSecrets, type TeacherConfig } from "./config.ts";
import { drainable } from "./drain.ts";
import { flushed, openLog } from "./log.ts";
import { openMetrics } from "./metrics.ts";
import { type Model, openModel } from "./model.ts";
import { hasUnreadBody, refuse } from "./refusal.ts";
import { openRoom } from "./room.ts";
import type { Service } from "./service.ts";
import { answerUnparsable } from "./unparsable.ts";

/**
 * Runs the service until SIGTERM or SIGINT: listens at once, answers 503 `loading` until the models are ready,
 * and at the end finishes what is in flight.
 *
 * @returns the exit status: 0, or 1 when the drain's time was up before everything was answered
 * @throws UserError for a port that cannot be had, or when no model could be loaded
 */
export async function serve(written: TeacherConfig): Promise<number> {
  const config = openSecrets(written);
  const log = openLog(config.logLevel);
  const room = openRoom(config.limits.queueBytes);
  const models = new Map<string, Model>();
  const metrics = openMetrics({
    bytes: () => room.heldBytes,
    waiting: () => Object.fromEntries([...models].map(([id, model]) => [id, model.waitingRequests()])),
  });
  const { maxImages, maxBodyBytes, timeoutMs } = config.limits;
  const service: Service = {
    models,
    limits: { maxImages, maxBodyBytes, timeoutMs },
    authenticate: openAuth(config),
    room,
    metrics,
    log,
    draining: false,
  };

  try {
    return await run(service, models, config);
  } finally {
    await flushed(log);
  }
}

async function run(service: Service, models: Map<string, Model>, config: TeacherConfig): Promise<number> {
  const { log, metrics } = service;
  const server = createServer(service);
  const drain = drainable(server);
  // Before the address is told: whoever knows it may ask for the end at once.
  const stop = stopSignal();
  const url = await listen(server, config.listen);
  // Told at every log level: with port 0 nobody could know otherwise.
  log.child({}, { level: "info" }).info({ url }, "listening");

  const threads = useThreads(config);
  for (const [id, model] of Object.entries(config.models))
    models.set(id, openModel(id, model, { batchSizes: config.batchSizes, threads, log, metrics }));
  await Promise.race([stop, someModel(models)]);
  const signal = await stop;

  service.draining = true;
  log.info({ signal, drainSeconds: config.drainSeconds }, "draining");
  const clean = await drain(config.drainSeconds);
  log.info({ clean }, "stopped");
  return clean ? 0 : 1;
}

function createServer(service: Service): Server {
  const app = createApp(service);
  const server = createAdaptorServer({
    // The bodies of refused requests are read by `refuse`, which reads less of them.
    autoCleanupIncoming: false,
    fetch: async (request, env) => {
      const { incoming, outgoing } = env as HttpBindings; // this server speaks no HTTP/2
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
  // The body of a client that asks first is only asked for once its headers have passed: see logits.ts.
  server.on("checkContinue", (request, response) => server.emit("request", request, response));
  server.on("clientError", answerUnparsable);
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

/** Rejects when every model has failed to load. */
async function someModel(models: ReadonlyMap<string, Model>): Promise<void> {
  const failures: string[] = [];
  await Promise.all(
    [...models].map(async ([id, model]) => {
      await model.loaded.catch((error: unknown) => {
        failures.push(`model ${id}: ${error instanceof Error ? error.message : String(error)}`);
      });
    }),
  );
  if (failures.length === models.size) throw new UserError(failures.join("; "));
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
