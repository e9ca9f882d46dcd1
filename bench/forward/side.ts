import { fork } from "node:child_process";
import { answersOf } from "../answers.ts";
import { askChild } from "../ask-child.ts";
import type { Environment } from "../environment.ts";
import type { ForwardNetwork } from "./networks.ts";
import type { LoadOrder } from "./ours.ts";

/** What a side is told: compute so many images again and again, for so long. */
export interface TurnOrder {
  images: number;
  seconds: number;
}

export interface TurnAnswer {
  /** Of each pass. */
  milliseconds: number[];
  /** Of one pass, float32 [images,K] in base64. */
  logits: string;
}

/** One way to compute a network, in a process of its own. */
export interface Side {
  readonly name: string;
  turn(order: TurnOrder): Promise<TurnAnswer>;
  stop(): void;
}

/** Ours, with the threads that the service gives TensorFlow or ONNX Runtime. */
export async function startOurs(network: ForwardNetwork, threads: number): Promise<Side> {
  const env = { ...process.env, TF_NUM_INTRAOP_THREADS: String(threads), TF_NUM_INTEROP_THREADS: "1" };
  const child = fork(new URL("./ours.ts", import.meta.url), { env });
  const order: LoadOrder = { load: network.config, threads, pixels: network.pixels };
  await askChild<TurnAnswer>(child, order);
  return {
    name: "ours",
    turn: (turn) => askChild<TurnAnswer>(child, turn),
    stop: () => void child.kill("SIGKILL"),
  };
}

/**
 * A peer in one configuration, as side.py understands it.
 *
 * @param configuration such as "torch compile channels_last freezing", "onnxruntime"
 */
export function startPeer(
  configuration: string,
  network: ForwardNetwork,
  { environment, threads }: { environment: Environment; threads: number },
): Side {
  const file = configuration.startsWith("torch") ? network.config.path : network.onnx;
  const args = [configuration, threads, file, network.pixels, network.config.resolution].map(String);
  const env = { OMP_NUM_THREADS: String(threads), ...(configuration.includes("kept") && KEEPING) };
  const child = environment.start("side.py", args, { env });
  const answer = answersOf(child, configuration);
  return {
    name: configuration,
    async turn(order) {
      child.stdin!.write(`${JSON.stringify(order)}\n`);
      return JSON.parse(await answer()) as TurnAnswer;
    },
    stop: () => void child.kill("SIGKILL"),
  };
}

/** glibc gives large tensors back to the system after each use, and faults their pages in anew; not with this. */
const KEEPING = {
  GLIBC_TUNABLES: "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184",
};
