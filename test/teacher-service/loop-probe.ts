/**
 * Imported by a service before all else (`NODE_OPTIONS=--import`): measures how much its socket thread computes
 * between two turns of a timer of 10 ms, and writes that to LOOP_PROBE at the end: sorted, in ms. It is the delay
 * that is the thread's own doing; what other processes take from it on a busy machine is not in it.
 */
import { writeFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  const found: number[] = [];
  const cpu = () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let last = cpu();
  setInterval(() => {
    const now = cpu();
    found.push(now - last);
    last = now;
  }, 10).unref();
  process.on("SIGUSR2", () => {
    found.length = 0; // what came before was loading
  });
  process.on("exit", () => {
    writeFileSync(process.env.LOOP_PROBE!, JSON.stringify(found.sort((a, b) => a - b)));
  });
}
