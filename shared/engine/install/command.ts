import { spawn } from "node:child_process";

export interface Finished {
  /** Exit status; undefined if the program could not be started at all. */
  status: number | undefined;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, without a shell. A missing program is a result (`status` undefined), not an exception. */
export function command(
  program: string,
  args: string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Finished> {
  return new Promise((done) => {
    const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on("error", (error) => done({ status: undefined, stdout, stderr: error.message }));
    child.on("close", (status) => done({ status: status ?? 1, stdout, stderr }));
  });
}
