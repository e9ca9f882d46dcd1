import { parentPort, workerData } from "node:worker_threads";
import { loadEngine } from "./binding.ts";
import {
  plainError,
  STARTED,
  type WorkerAnswer,
  type WorkerCall,
  type WorkerStart,
  type WorkerStop,
} from "./worker-message.ts";

/** The thread of an engine worker: loads the engine, starts the module, and serves its calls one after another. */

type Api = Record<string, (payload: unknown) => unknown>;

const port = parentPort;
if (port === null) throw new Error("worker-entry.ts runs in a worker thread only");

async function start(): Promise<Api> {
  const { module, init, engine } = workerData as WorkerStart;
  if (engine) await loadEngine();
  const loaded = (await import(module)) as { start?: (init: unknown) => Promise<Api> };
  if (typeof loaded.start !== "function") throw new TypeError(`${module} exports no function start`);
  return loaded.start(init);
}

async function answerTo(id: number, work: () => unknown): Promise<void> {
  let answer: WorkerAnswer;
  try {
    answer = { id, result: await work() };
  } catch (error) {
    answer = { id, error: plainError(error) };
  }
  try {
    port?.postMessage(answer);
  } catch (error) {
    port?.postMessage({ id, error: plainError(error) } satisfies WorkerAnswer);
  }
}

let api: Api = {};
let last = answerTo(STARTED, async () => {
  api = await start();
});
port.on("message", (message: WorkerCall | WorkerStop) => {
  // In a worker this ends the thread only. It comes between native calls, however many calls are waiting.
  if ("stop" in message) process.exit(0);
  const { id, method, payload } = message;
  last = last.then(() =>
    answerTo(id, () => {
      const called = api[method];
      if (typeof called !== "function") throw new TypeError(`the engine worker has no method ${method}`);
      return called.call(api, payload);
    }),
  );
});
