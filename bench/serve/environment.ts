import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheDirectory } from "@funmatch/engine";

/** The peers, and what they compute with. */
const LIGHT = ["litserve==0.2.19", "onnxruntime==1.32.0", "onnx==1.23.2"];
const KSERVE = "kserve==0.21.0";
const TORCH = ["torch==2.15.0", "torchvision==0.29.2"];

/** A Python environment with the peers in it. */
export interface Environment {
  readonly versions: Record<string, string>;
  /** Runs one of this folder's scripts to its end. */
  run(script: string, args: string[]): Promise<void>;
  /** Starts one of this folder's scripts. */
  start(script: string, args: string[]): ChildProcess;
}

/**
 * Makes a Python environment of the peers' pinned packages in the user's cache, the first time; it may be deleted.
 *
 * @param o.light without KServe and torch (torch.compile, the large networks), which are most of 3 GB
 */
export async function openEnvironment(o: { light: boolean }): Promise<Environment> {
  const packages = o.light ? LIGHT : [LIGHT[0]!, KSERVE, ...LIGHT.slice(1), ...TORCH];
  const cache = cacheDirectory();
  const key = createHash("sha256").update(packages.join(" ")).digest("hex").slice(0, 12);
  const place = join(cache, `bench-serve-${key}`);
  const done = join(place, "done");
  if (!existsSync(done)) {
    mkdirSync(cache, { recursive: true });
    rmSync(place, { recursive: true, force: true });
    console.log(`  installing ${packages.join(", ")}${o.light ? "" : ": 3 GB"} into ${place}`);
    await promisify(execFile)("python3", ["-m", "venv", place]);
    await promisify(execFile)(join(place, "bin/pip"), ["install", "--quiet", ...packages]);
    mkdirSync(`${done}.making`);
    renameSync(`${done}.making`, done);
  }
  const python = join(place, "bin/python");
  const at = (script: string) => join(import.meta.dirname, script);
  // Where torch.compile keeps what it compiled.
  const env = {
    ...process.env,
    TORCHINDUCTOR_CACHE_DIR: join(place, "inductor"),
    PYTHONDONTWRITEBYTECODE: "1",
  };
  return {
    versions: Object.fromEntries(packages.map((each) => each.split("==") as [string, string])),
    async run(script, args) {
      await promisify(execFile)(python, [at(script), ...args], { env, maxBuffer: 2 ** 26 });
    },
    start: (script, args) => spawn(python, [at(script), ...args], { env, stdio: ["ignore", "pipe", "pipe"] }),
  };
}
