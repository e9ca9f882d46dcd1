import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { EngineError } from "./engine-error.ts";
import { TENSORFLOW, type Variant, type Wheel, wheelsFor } from "./install/pins.ts";

/**
 * Where the engine of this machine lives, and how it is made:
 *
 *     <cache>/tensorflow/<name>/tensorflow/   the wheel's two libraries and its headers (1 GB), shared by builds
 *     <cache>/engine/<key>/                   the binding compiled against them, and stamp.json
 *
 * The key holds everything that goes into the binding, so another version of this project makes another one.
 */
export interface EnginePlace {
  variant: Variant;
  platform: string;
  wheels: Wheel[];
  /** Compile recipe: source files and flags, the same for everyone. */
  sources: string[];
  flags: string[];
  key: string;
  cache: string;
  /** Holds `tensorflow/` (libraries, `include/`) and, for CUDA, `nvidia/`. */
  tensorflow: string;
  include: string;
  engine: string;
  binding: string;
}

const require = createRequire(import.meta.url);

/** `FUNMATCH_CACHE`, else `$XDG_CACHE_HOME/funmatch`, else `~/.cache/funmatch`. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  if (env.FUNMATCH_CACHE) return resolve(env.FUNMATCH_CACHE);
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "funmatch");
}

/** Names the engine's files for this platform, installed or not. */
export function enginePlace(variant: Variant): EnginePlace {
  const platform = `${process.platform}-${process.arch}`;
  const wheels = wheelsFor(platform, variant);
  if (wheels === undefined) {
    const known = variant === "cuda" ? "Linux x64" : "Linux x64, Linux arm64 and macOS arm64";
    throw new EngineError(
      `there is no ${variant} build of TensorFlow ${TENSORFLOW} for ${platform}: use ${known}`,
    );
  }
  const cache = cacheDirectory();
  const name = `${TENSORFLOW}-${platform}-${variant}-${hash(wheels.map((w) => w.sha256)).slice(0, 8)}`;
  const tensorflow = join(cache, "tensorflow", name);
  const bindingSources = join(dirname(require.resolve("@tensorflow/tfjs-node-gpu/package.json")), "binding");
  const files = readdirSync(bindingSources).sort();
  const sources = files.filter((file) => file.endsWith(".cc")).map((file) => join(bindingSources, file));
  const flags = compileFlags(process.platform, name);
  const contents = files.map((file) => readFileSync(join(bindingSources, file)));
  const key = `${TENSORFLOW}-${platform}-${variant}-${hash([...flags, ...contents]).slice(0, 12)}`;
  const engine = join(cache, "engine", key);
  return {
    variant,
    platform,
    wheels,
    sources,
    flags,
    key,
    cache,
    tensorflow,
    include: join(tensorflow, "tensorflow", "include"),
    engine,
    binding: join(engine, "tfjs_binding.node"),
  };
}

/** Flags without paths of this machine: the rpath is relative, so a cache can be moved or shared. */
function compileFlags(os: string, tensorflowName: string): string[] {
  const shared = ["-std=c++17", "-O2", "-fPIC", "-shared", "-DNAPI_VERSION=8", "-D_GLIBCXX_USE_CXX11_ABI=1"];
  const libraries = `../../tensorflow/${tensorflowName}/tensorflow`;
  return os === "darwin"
    ? [...shared, "-undefined", "dynamic_lookup", `-Wl,-rpath,@loader_path/${libraries}`]
    : [...shared, `-Wl,-rpath,$ORIGIN/${libraries}`];
}

/** The libraries that are unpacked and linked, by the platform's name for them. */
export function libraryNames(os: string = process.platform): [string, string] {
  return os === "darwin"
    ? ["libtensorflow_cc.2.dylib", "libtensorflow_framework.2.dylib"]
    : ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];
}

function hash(parts: (string | Uint8Array)[]): string {
  const sum = createHash("sha256");
  for (const part of parts) sum.update(part).update("\0");
  return sum.digest("hex");
}
