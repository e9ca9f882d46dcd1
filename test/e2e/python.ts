import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cacheDirectory } from "@funmatch/engine";

const NUMPY = ["numpy==2.2.6"];

/** Runs a Python script with pinned packages, which are installed into the cache the first time. */
export function python(script: string, args: string[], packages = NUMPY): string {
  const modules = installed(packages);
  return execFileSync("python3", [script, ...args], {
    encoding: "utf8",
    env: { ...process.env, PYTHONPATH: modules },
  });
}

/** Runs a Python module with pinned packages, in the folder for temporary files, while the test goes on; answers its status and all that it said. */
export async function pythonModule(
  module: string,
  args: string[],
  packages: string[],
  env: Record<string, string>,
): Promise<{ status: number | null; said: string }> {
  const child = spawn("python3", ["-m", module, ...args], {
    env: { ...process.env, ...env, PYTHONPATH: installed(packages) },
    cwd: tmpdir(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const parts: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (part) => parts.push(part));
  const [status] = await once(child, "close");
  return { status, said: parts.join("") };
}

/** Starts a Python script that serves, with numpy; resolves with the first line that it prints. */
export async function pythonServer(
  script: string,
  args: string[],
  o: { program?: string } = {},
): Promise<{ line: string; child: ChildProcess; stop(): Promise<void> }> {
  const env = o.program ? process.env : { ...process.env, PYTHONPATH: installed(NUMPY) };
  const child = spawn(o.program ?? "python3", [script, ...args], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const line = await new Promise<string>((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (data) => {
      text += data;
      if (text.includes("\n")) resolve(text.split("\n")[0]!);
    });
    child.on("error", reject);
    child.on("close", (code) => reject(new Error(`${script} ended with ${code}`)));
  });
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  return { line, child, stop };
}

function installed(packages: string[]): string {
  const cache = cacheDirectory();
  const place = join(cache, `test-python-${packages.join("-").replaceAll("==", "-")}`);
  if (existsSync(place)) return place;
  mkdirSync(cache, { recursive: true });
  const draft = `${place}.${process.pid}`;
  const options = ["--quiet", "--only-binary", ":all:", "--target", draft, ...packages];
  execFileSync("python3", ["-m", "pip", "install", ...options], { stdio: ["ignore", "ignore", "inherit"] });
  try {
    renameSync(draft, place);
  } catch {
    rmSync(draft, { recursive: true, force: true }); // another test process was first
  }
  return place;
}
