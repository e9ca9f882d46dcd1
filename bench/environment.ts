import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheDirectory } from "@funmatch/engine";

/** A Python environment with the peers in it. */
export interface Environment {
  readonly versions: Record<string, string>;
  /** Runs a script to its end. */
  run(script: string, args: string[]): Promise<void>;
  /** Starts a script; its output can be read, and its input written. */
  start(script: string, args: string[], o?: { env: NodeJS.ProcessEnv }): ChildProcess;
}

/**
 * Makes a Python environment of pinned packages in the user's cache, the first time; it may be deleted.
 *
 * @param o.name names its folder, with a digest of the packages
 * @param o.packages each as `name==version`
 * @param o.scripts the folder of the scripts
 * @param o.size what one would want to know before they are installed, as "3 GB"
 */
export async function openEnvironment(o: {
  name: string;
  packages: string[];
  scripts: string;
  size?: string;
}): Promise<Environment> {
  const cache = cacheDirectory();
  const key = createHash("sha256").update(o.packages.join(" ")).digest("hex").slice(0, 12);
  const place = join(cache, `bench-${o.name}-${key}`);
  const done = join(place, "done");
  if (!existsSync(done)) {
    mkdirSync(cache, { recursive: true });
    rmSync(place, { recursive: true, force: true });
    const size = o.size === undefined ? "" : `: ${o.size}`;
    console.log(`  installing ${o.packages.join(", ")}${size} into ${place}`);
    await promisify(execFile)("python3", ["-m", "venv", place]);
    await promisify(execFile)(join(place, "bin/pip"), ["install", "--quiet", ...o.packages]);
    mkdirSync(`${done}.making`);
    renameSync(`${done}.making`, done);
  }
  const python = join(place, "bin/python");
  const at = (script: string) => join(o.scripts, script);
  // Where torch.compile and XLA keep what they compiled.
  const env = {
    ...process.env,
    TORCHINDUCTOR_CACHE_DIR: join(place, "inductor"),
    JAX_COMPILATION_CACHE_DIR: join(place, "xla"),
    PYTHONDONTWRITEBYTECODE: "1",
  };
  return {
    versions: Object.fromEntries(o.packages.map((each) => each.split("==") as [string, string])),
    async run(script, args) {
      await promisify(execFile)(python, [at(script), ...args], { env, maxBuffer: 2 ** 26 });
    },
    start: (script, args, more) =>
      spawn(python, [at(script), ...args], {
        env: { ...env, ...more?.env },
        stdio: ["pipe", "pipe", "pipe"],
      }),
  };
}
