import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { startTeacherService } from "funmatch-teacher/dev";
import type { NetworkConfig } from "../../teacher-service/config/model-config.ts";
import { askChild } from "../ask-child.ts";
import type { Environment } from "../environment.ts";
import type { BareAnswer, BareOrder } from "./bare.ts";
import type { Protocol } from "./client.ts";
import { IMAGES, type ServedNetwork } from "./networks.ts";
import { signalTree } from "./process-tree.ts";

/** A server as it is set up. */
export interface Setup {
  side: "ours" | "LitServe" | "KServe";
  engine: string;
  /** At most so many requests share a forward pass. */
  merged: number;
  protocol: Protocol;
}

/** A server that runs. */
export interface Server {
  readonly setup: Setup;
  /** Where logits are asked for. */
  readonly url: string;
  readonly pid: number;
  /** Event-loop delay since the last call, 99th percentile in ms, where the server tells it. */
  eventLoopDelay?(): Promise<number>;
  stop(): Promise<void>;
}

/** How our service, and the bare forward pass, are told of the network. */
function modelConfig({ format, path, side }: ServedNetwork): NetworkConfig {
  const model = { path: `${path}.${format}`, resolution: side, resize: "none" as const };
  return format === "npz"
    ? { ...model, format, valueRange: [-1, 1] }
    : { ...model, format: "onnx", valueRange: [-1, 1], channelOrder: "rgb", outputs: "logits" };
}

/** Starts a server and waits until it is ready to answer. */
export async function startServer(
  setup: Setup,
  network: ServedNetwork,
  o: { environment: Environment; threads: number },
): Promise<Server> {
  return setup.side === "ours" ? startOurs(setup, network, o.threads) : startPeer(setup, network, o);
}

async function startOurs(setup: Setup, network: ServedNetwork, threads: number): Promise<Server> {
  const config = `${network.path}-${setup.merged}.json`;
  const batchSizes = Array.from({ length: setup.merged }, (_, i) => IMAGES * (i + 1));
  const models = { bench: modelConfig(network) };
  writeFileSync(
    config,
    JSON.stringify({ listen: { port: 0 }, models, batchSizes, threads, logLevel: "warn" }),
  );
  const { url, child, close } = await startTeacherService(config);
  return {
    setup,
    url: `${url}/v1/models/bench/logits`,
    pid: child.pid!,
    async eventLoopDelay() {
      const text = await (await fetch(`${url}/metrics`)).text();
      return Number(/^nodejs_eventloop_lag_p99_seconds (\S+)$/m.exec(text)?.[1]) * 1000;
    },
    stop: async () => void (await close()),
  };
}

async function startPeer(
  setup: Setup,
  { path, side }: ServedNetwork,
  { environment, threads }: { environment: Environment; threads: number },
): Promise<Server> {
  const port = await freePort();
  const script = setup.side === "LitServe" ? "litserve_server.py" : "kserve_server.py";
  const args = [port, setup.engine, path, threads, setup.merged, side, IMAGES].map(String);
  const child = environment.start(script, args);
  const ready = setup.side === "LitServe" ? "/health" : "/v2/health/ready";
  await untilReady(child, `http://127.0.0.1:${port}${ready}`, script);
  const paths = { LitServe: "/predict", KServe: "/v1/models/bench:predict", v2: "/v2/models/bench/infer" };
  return {
    setup,
    url: `http://127.0.0.1:${port}${setup.protocol === "v2" ? paths.v2 : paths[setup.side as "KServe"]}`,
    pid: child.pid!,
    async stop() {
      signalTree(child.pid!, "SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}

async function untilReady(child: ChildProcess, url: string, name: string): Promise<void> {
  let said = "";
  for (const stream of [child.stdout!, child.stderr!])
    stream.on("data", (text) => {
      said = (said + text).slice(-4000);
    });
  while (child.exitCode === null && child.signalCode === null) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`${name} ended before it was ready:\n${said}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** The forward pass without a server. */
export interface Bare {
  run(seconds: number): Promise<BareAnswer>;
  stop(): void;
}

export async function startBare(network: ServedNetwork, threads: number): Promise<Bare> {
  const env = { ...process.env, TF_NUM_INTRAOP_THREADS: String(threads), TF_NUM_INTEROP_THREADS: "1" };
  const child = fork(new URL("./bare.ts", import.meta.url), { env });
  const ask = (order: BareOrder) => askChild<BareAnswer>(child, order);
  const shape: [number, number, number, number] = [IMAGES, network.side, network.side, 3];
  const pixels = Buffer.from(network.pixels).toString("base64");
  await ask({ load: modelConfig(network), threads, shape, pixels });
  return { run: (seconds) => ask({ seconds }), stop: () => void child.kill("SIGKILL") };
}
