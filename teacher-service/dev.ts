import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A teacher service in a process of its own, as the demo and the end-to-end tests use it. */
export interface TeacherProcess {
  url: string;
  child: ChildProcess;
  /** Asks it to finish what is in flight and waits for its end; answers its exit code. */
  close(): Promise<number | null>;
}

/**
 * Starts `funmatch-teacher serve CONFIG` and waits until its models answer.
 *
 * @param onLog gets each line that it logs
 * @throws Error with its last words if it ends before it is ready
 */
export async function startTeacherService(
  config: string,
  o: { env?: Record<string, string>; onLog?: (line: string) => void } = {},
): Promise<TeacherProcess> {
  const cli = fileURLToPath(new URL("./cli.ts", import.meta.url));
  const child = spawn(process.execPath, [cli, "serve", config], {
    env: { ...process.env, ...o.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said: string[] = [];
  const url = Promise.withResolvers<string>();
  const hear = (line: string) => {
    o.onLog?.(line);
    said.push(line);
    if (said.length > 50) said.shift();
    const found = /"url":"(http[^"]+)"/.exec(line)?.[1];
    if (found) url.resolve(found);
  };
  createInterface({ input: child.stdout! }).on("line", hear);
  createInterface({ input: child.stderr! }).on("line", hear);
  child.once("exit", (code) =>
    url.reject(new Error(`the teacher service ended with ${code} before it listened:\n${said.join("\n")}`)),
  );
  const service: TeacherProcess = {
    url: await url.promise,
    child,
    async close() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      return child.exitCode;
    },
  };
  await untilReady(service, said);
  return service;
}

async function untilReady({ url, child }: TeacherProcess, said: string[]): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(
    `the teacher service ended with ${child.exitCode ?? child.signalCode}:\n${said.join("\n")}`,
  );
}
