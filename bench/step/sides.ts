import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { answersOf } from "../answers.ts";
import { askChild } from "../ask-child.ts";
import type { Environment } from "../environment.ts";
import type { OurWay, StepAnswer, StepOrder } from "./ours.ts";
import type { StepTask } from "./task.ts";

/** One who takes the steps, in a process of its own. */
export interface Side {
  readonly label: string;
  /** How it was set up, in words. */
  readonly setup: string;
  /** What it answered when it was ready. */
  readonly prepared: StepAnswer;
  readonly answers: StepAnswer[];
  /** Takes a step, counted from 0. */
  step(number: number): Promise<void>;
  stop(): Promise<void>;
}

/** How a peer in Python is set up. */
export interface Configuration {
  library: "PyTorch" | "JAX";
  threads: number;
  /** Whether memory is handed out by jemalloc instead of the C library. */
  jemalloc: boolean;
  /** The rest is PyTorch's. */
  layout?: "contiguous_format" | "channels_last";
  compile?: "no" | "default" | "max-autotune";
  optimizer?: "foreach" | "fused" | "compiled";
}

/** Starts a side under Node: ours, or tfjs-node. */
export async function startOurs(way: OurWay, label: string, task: StepTask, threads: number): Promise<Side> {
  // Ours as the trainer's worker runs it. tfjs-node has none of our fused operations: without this its Adam would be ours.
  const settings = way === "captured" ? { TF_NUM_INTEROP_THREADS: "1" } : { FUNMATCH_KERNELS: "plain" };
  const env = { ...process.env, ...settings, TF_NUM_INTRAOP_THREADS: String(threads) };
  const child = fork(new URL("./ours.ts", import.meta.url), { env });
  const ask = (order: StepOrder) => askChild<StepAnswer>(child, order);
  return side(label, `${threads} threads`, child, await ask({ prepare: way, task }), (step) => ask({ step }));
}

/**
 * Starts a side in Python.
 *
 * @param o.jemalloc the path of its library
 * @throws Error with what the script said last, when it ends before it has answered
 */
export async function startPeer(
  configuration: Configuration,
  task: StepTask,
  o: { environment: Environment; jemalloc: string },
): Promise<Side> {
  const env = {
    OMP_NUM_THREADS: String(configuration.threads),
    ...(configuration.jemalloc && { LD_PRELOAD: o.jemalloc, MALLOC_CONF: JEMALLOC }),
  };
  const order = JSON.stringify({ ...task, library: configuration.library, configuration });
  const child = o.environment.start("peer.py", [order], { env });
  const next = answersOf(child, inWords(configuration));
  const answer = async () => JSON.parse(await next()) as StepAnswer;
  const step = (number: number) => {
    child.stdin!.write(`${number}\n`);
    return answer();
  };
  return side(configuration.library, inWords(configuration), child, await answer(), step);
}

/** What PyTorch's tuning guide recommends: memory is kept for the next step. */
const JEMALLOC =
  "oversize_threshold:1,background_thread:true,metadata_thp:auto,dirty_decay_ms:-1,muzzy_decay_ms:-1";

function side(
  label: string,
  setup: string,
  child: ChildProcess,
  prepared: StepAnswer,
  take: (step: number) => Promise<StepAnswer>,
): Side {
  const answers: StepAnswer[] = [];
  return {
    label,
    setup,
    prepared,
    answers,
    async step(number) {
      answers.push(await take(number));
    },
    async stop() {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}

export function inWords({ library, threads, jemalloc, layout, compile, optimizer }: Configuration): string {
  const own = [
    compile === "no" ? "eager" : compile && `torch.compile ${compile}`,
    layout?.replace("_format", ""),
    optimizer && `${optimizer} AdamW`,
  ];
  const words = [library, ...own, threads === 1 ? "1 thread" : `${threads} threads`, jemalloc && "jemalloc"];
  return words.filter(Boolean).join(", ");
}
