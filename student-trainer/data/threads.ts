import { Worker } from "node:worker_threads";
import { UserError } from "@funmatch/config";
import type { EvalBatch, TrainBatch } from "./batch.ts";
import type { FixedBatch } from "./fixed-views.ts";
import type { Outcome, Task, ThreadData } from "./pool-worker.ts";

/** View threads behind one queue. */
export interface Threads {
  /** @throws UserError for what is wrong with the data; Error after {@link Threads.close} or a thread's death. */
  run(task: Task): Promise<TrainBatch | EvalBatch | FixedBatch>;
  /** Refuses what has not begun, lets the rest end, and ends the threads. */
  close(): Promise<void>;
}

interface Job {
  task: Task;
  resolve(batch: TrainBatch | EvalBatch | FixedBatch): void;
  reject(error: Error): void;
}

/** Starts the threads and a queue before them: each takes the next task as soon as it is done with its last. */
export function startThreads(count: number, workerData: ThreadData): Threads {
  const waiting: Job[] = [];
  const busy = new Map<Worker, Job>();
  const idle: Worker[] = [];
  const exits: Promise<void>[] = [];
  let ended: Error | undefined;

  function handOut(): void {
    while (idle.length > 0 && waiting.length > 0) {
      const worker = idle.pop()!;
      const job = waiting.shift()!;
      busy.set(worker, job);
      worker.postMessage(job.task);
    }
    if (ended !== undefined) for (const worker of idle.splice(0)) worker.postMessage("close");
  }

  function end(reason: Error): void {
    ended ??= reason;
    for (const job of waiting.splice(0)) job.reject(reason);
    handOut();
  }

  for (let i = 0; i < count; i++) {
    const worker = new Worker(new URL("./pool-worker.ts", import.meta.url), { workerData });
    worker.on("message", (outcome: Outcome) => {
      const job = busy.get(worker)!;
      busy.delete(worker);
      idle.push(worker);
      if ("batch" in outcome) job.resolve(outcome.batch);
      else {
        const { message, usersMistake } = outcome.failure;
        job.reject(usersMistake ? new UserError(message) : new Error(message));
      }
      handOut();
    });
    worker.on("error", (error) => {
      const failure = new Error(`A view thread ended: ${error instanceof Error ? error.message : error}`);
      busy.get(worker)?.reject(failure);
      busy.delete(worker);
      const at = idle.indexOf(worker);
      if (at >= 0) idle.splice(at, 1);
      end(failure);
    });
    exits.push(new Promise((resolve) => worker.once("exit", () => resolve())));
    idle.push(worker);
  }

  return {
    run: (task) =>
      new Promise((resolve, reject) => {
        if (ended !== undefined) return reject(ended);
        waiting.push({ task, resolve, reject });
        handOut();
      }),
    async close() {
      end(new Error("The view pool is closed"));
      await Promise.all(exits);
    },
  };
}
