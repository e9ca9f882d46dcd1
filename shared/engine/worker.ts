import { Worker } from "node:worker_threads";
import {
  revivedError,
  STARTED,
  type WorkerAnswer,
  type WorkerCall,
  type WorkerStart,
  type WorkerStop,
} from "./worker-message.ts";

type Method<Api, M extends keyof Api> = Api[M] extends (payload: infer P) => infer R
  ? { payload: P; result: Awaited<R> }
  : never;

export interface EngineWorker<Api> {
  /**
   * Calls a method of what the module's `start` gave; calls are served in the order they were made. Typed arrays over
   * a SharedArrayBuffer are passed without a copy: leave their contents alone until the call is answered. Buffers in
   * `transfer` move to the worker, all else is copied.
   */
  call<M extends keyof Api & string>(
    method: M,
    payload: Method<Api, M>["payload"],
    transfer?: ArrayBuffer[],
  ): Promise<Method<Api, M>["result"]>;
  /** Ends the thread, after the native call that it may be in; calls without an answer reject. */
  terminate(): Promise<void>;
  /** Resolves when the thread has ended, with the reason: `terminate`, or a crash. */
  readonly ended: Promise<Error>;
}

/** How long a thread that shall end may be busy with JavaScript, or with one native call. */
const PATIENCE_MS = 60_000;

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/**
 * Starts a thread that loads the engine and then `module`, whose `start(init)` gives the functions to call. Every
 * native call blocks its thread, so training and inference live in such threads, and sockets on the main one. Errors
 * come back with their name and message; the end of the thread rejects all calls that are waiting.
 *
 * @param o `engine: false` for a module that computes without TensorFlow, which then need not be installed
 */
export async function spawnEngineWorker<Api>(
  module: URL,
  init: unknown,
  o: { engine?: boolean } = {},
): Promise<EngineWorker<Api>> {
  // One thread between operations, all of them inside: measured 5 % faster for a training step.
  process.env.TF_NUM_INTEROP_THREADS ??= "1";
  const start: WorkerStart = { module: module.href, init, engine: o.engine ?? true };
  const worker = new Worker(new URL("./worker-entry.ts", import.meta.url), { workerData: start });
  const waiting = new Map<number, Waiting>();
  const ended = Promise.withResolvers<Error>();
  const gone = Promise.withResolvers<void>();
  let reason: Error | undefined;
  const end = (error: Error): void => {
    reason ??= error;
    ended.resolve(reason);
    for (const { reject } of waiting.values()) reject(reason);
    waiting.clear();
  };
  const answered = (id: number): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (reason === undefined) waiting.set(id, { resolve, reject });
      else reject(reason);
    });
  worker.on("message", (answer: WorkerAnswer) => {
    const call = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ("error" in answer) call?.reject(revivedError(answer.error));
    else call?.resolve(answer.result);
  });
  worker.on("error", (error) => end(error instanceof Error ? error : new Error(String(error))));
  worker.on("exit", () => gone.resolve());
  worker.on("exit", (code) => end(new Error(`the engine worker has ended (exit code ${code})`)));
  let lastId = STARTED;
  try {
    await answered(STARTED);
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  return {
    async call(method, payload, transfer) {
      lastId += 1;
      const call: WorkerCall = { id: lastId, method, payload };
      // Before anything waits for an answer: a payload that cannot be copied makes this throw.
      if (reason === undefined) worker.postMessage(call, transfer);
      return answered(call.id) as Promise<never>;
    },
    async terminate() {
      end(new Error("the engine worker was terminated"));
      // A thread that is stopped from outside within a native call ends the process, with ONNX Runtime at least:
      // the library cannot hand its results back. So it is asked first.
      worker.postMessage({ stop: true } satisfies WorkerStop);
      const timer = setTimeout(() => void worker.terminate(), PATIENCE_MS);
      await gone.promise;
      clearTimeout(timer);
    },
    ended: ended.promise,
  };
}
