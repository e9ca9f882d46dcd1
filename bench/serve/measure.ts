import { type ChildProcess, fork } from "node:child_process";
import { askChild } from "../ask-child.ts";
import type { LoadAnswer, LoadOrder } from "./client.ts";
import { IMAGES, type ServedNetwork } from "./networks.ts";
import { cpuSecondsOf, signalTree } from "./process-tree.ts";
import type { Bare, Server } from "./sides.ts";

/** One side under load, once. */
export interface Measured {
  imagesPerSecond: number;
  /** Of each request, in ms; none for a bare forward pass. */
  latencies: number[];
  /** Of the server with all its processes, for 1,000 images. */
  cpuSeconds: number;
  /** The clients' own, for 1,000 images. */
  clientCpuSeconds: number;
  eventLoopDelayMs?: number;
}

/** How long to measure. */
export interface Duration {
  warmUpSeconds: number;
  seconds: number;
}

/** Largest difference to the reference, as a share of its largest logit. */
const MOST_DIFFERENCE = 1e-3;

/** The process of the clients. */
export interface Clients {
  /**
   * @param server is let run meanwhile, and paused before and after
   * @throws Error when its logits are not the network's
   */
  measure(server: Server, network: ServedNetwork, clients: number, duration: Duration): Promise<Measured>;
  stop(): void;
}

export function startClients(): Clients {
  const child: ChildProcess = fork(new URL("./client.ts", import.meta.url));
  return {
    async measure(server, network, clients, duration) {
      const order: LoadOrder = {
        url: server.url,
        protocol: server.setup.protocol,
        shape: [IMAGES, network.side, network.side, 3],
        pixels: Buffer.from(network.pixels).toString("base64"),
        clients,
        ...duration,
      };
      signalTree(server.pid, "SIGCONT");
      await server.eventLoopDelay?.(); // from here on
      const before = cpuSecondsOf(server.pid);
      const answer = await askChild<LoadAnswer>(child, order);
      const cpuSeconds = cpuSecondsOf(server.pid) - before;
      const eventLoopDelayMs = await server.eventLoopDelay?.();
      signalTree(server.pid, "SIGSTOP");
      checkLogits(server, network, answer.logits);
      if (answer.answered === 0) throw new Error(`${server.setup.side} answered nothing in time`);
      const thousands = (answer.requests * IMAGES) / 1000;
      return {
        imagesPerSecond: (answer.answered * IMAGES) / answer.seconds,
        latencies: answer.latencies,
        cpuSeconds: cpuSeconds / thousands,
        clientCpuSeconds: answer.cpuSeconds / thousands,
        ...(eventLoopDelayMs !== undefined && { eventLoopDelayMs }),
      };
    },
    stop: () => void child.kill("SIGKILL"),
  };
}

/** The same for a loop without a server. */
export async function measureBare(bare: Bare, { seconds }: Duration): Promise<Measured> {
  const found = await bare.run(seconds);
  return {
    imagesPerSecond: found.images / found.seconds,
    latencies: [],
    cpuSeconds: (found.cpuSeconds / found.images) * 1000,
    clientCpuSeconds: 0,
  };
}

/** How far an answer is from the reference, as a share of the reference's largest logit. */
function differenceOf({ logits: expected }: ServedNetwork, found: readonly number[]): number {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0) / largest;
}

function checkLogits({ setup }: Server, network: ServedNetwork, found: readonly number[]): void {
  const difference = differenceOf(network, found);
  if (!(difference <= MOST_DIFFERENCE) || found.length !== network.logits.length)
    throw new Error(
      `${setup.side} (${setup.engine}) serves another ${network.name}: its logits differ by ${difference} of the largest`,
    );
}
