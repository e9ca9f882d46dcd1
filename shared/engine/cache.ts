import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { cpuFlags } from "./cpu-flags.ts";
import { type CpuLevel, cpuLevels, hasLevel } from "./cpu-levels.ts";
import { EngineError } from "./engine-error.ts";
import { TENSORFLOW, type Variant, type Wheel, wheelsFor } from "./install/pins.ts";
import { sourceOf } from "./install/sources.ts";

/** One native module to compile. */
export interface NativeModule {
  file: string;
  /** Everything whose change makes another module: the `.cc` files and the headers beside them. */
  inputs: string[];
  /** Whether it is linked against TensorFlow's libraries. */
  links: boolean;
  /** Beside those of the place. */
  flags: string[];
}

/** Our own TensorFlow operations: one library for each source, compiled for this very CPU or for a level of CPUs. */
export interface KernelPlace {
  /** The level's name, or "native". */
  cpu: string;
  /** Whether this CPU has the instructions that they are compiled for. */
  runsHere: boolean;
  /** `kernels/*.cc`, each a family of operations. */
  sources: string[];
  /** What they may include from beside them. */
  headers: string[];
  flags: string[];
  key: string;
  directory: string;
}

/**
 * Where the engine of this machine lives, and what it is made of:
 *
 *     <cache>/tensorflow/<name>/tensorflow/   the wheel's two libraries and its headers (1.1 GB), shared by builds
 *     <cache>/engine/<key>/                   the modules compiled against them, and stamp.json
 *     <cache>/kernels/<key>/                  our own operations, and stamp.json
 *
 * The keys hold everything that goes into what they name, so another version of this project makes another engine;
 * that of the operations holds the CPU's instruction sets too, or the level that they are compiled for.
 */
export interface EnginePlace {
  variant: Variant;
  platform: string;
  wheels: Wheel[];
  /** In the order in which they must be loaded. */
  modules: NativeModule[];
  /** What makes views of pictures fast; an engine without it, where it does not compile or load, makes the same ones. */
  pictures: NativeModule;
  flags: string[];
  key: string;
  cache: string;
  /** Holds `tensorflow/` (libraries, `include/`) and, for CUDA, `nvidia/`. */
  tensorflow: string;
  include: string;
  engine: string;
  /** Our own operations for this very CPU. Absent for CUDA: they are for the CPU. */
  kernels?: KernelPlace;
  /** The same for levels of CPUs, best first: for an image that is built on one machine and runs on others. */
  portable: KernelPlace[];
}

const require = createRequire(import.meta.url);

/** `FUNMATCH_CACHE`, else `$XDG_CACHE_HOME/funmatch`, else `~/.cache/funmatch`. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  if (env.FUNMATCH_CACHE) return resolve(env.FUNMATCH_CACHE);
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "funmatch");
}

/** Names the engine's files for this platform, installed or not. `cpu`: what the system says that the CPU can do. */
export function enginePlace(variant: Variant, cpu = cpuFlags()): EnginePlace {
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
  const flags = compileFlags(process.platform, name);
  const modules = nativeModules();
  const pictures = picturesModule();
  const contents = [...modules, pictures].flatMap(({ inputs, flags: own }) => [
    ...own,
    ...inputs.flatMap((file) => [basename(file), sourceOf(file)]),
  ]);
  const key = `${TENSORFLOW}-${platform}-${variant}-${hash([...flags, ...contents]).slice(0, 12)}`;
  const include = join(tensorflow, "tensorflow", "include");
  const engine = join(cache, "engine", key);
  const compiled = { modules, pictures, flags, key };
  const place = { variant, platform, wheels, ...compiled, cache, tensorflow, include, engine };
  if (variant === "cuda") return { ...place, portable: [] };
  const kernels = (level?: CpuLevel) => kernelPlace(cache, `${TENSORFLOW}-${platform}`, name, cpu, level);
  return { ...place, kernels: kernels(), portable: cpuLevels().map(kernels) };
}

function kernelPlace(
  cache: string,
  prefix: string,
  tensorflowName: string,
  cpu: string[],
  level?: CpuLevel,
): KernelPlace {
  const folder = join(import.meta.dirname, "kernels");
  const files = readdirSync(folder).sort();
  const [sources, headers] = [".cc", ".h"].map((end) =>
    files.filter((file) => file.endsWith(end)).map((file) => join(folder, file)),
  ) as [string[], string[]];
  const flags = kernelFlags(tensorflowName, level);
  const contents = [...sources, ...headers].flatMap((file) => [basename(file), sourceOf(file)]);
  const key = `${prefix}-${hash([...flags, level?.name ?? cpu.join(" "), ...contents]).slice(0, 12)}`;
  const directory = join(cache, "kernels", key);
  const runsHere = level === undefined || hasLevel(level, cpu);
  return { cpu: level?.name ?? "native", runsHere, sources, headers, flags, key, directory };
}

/** The libraries that are unpacked and linked, by the platform's name for them. */
export function libraryNames(os: string = process.platform): string[] {
  const suffix = os === "darwin" ? ".2.dylib" : ".so.2";
  return ["libtensorflow_cc", "libtensorflow_framework"].map((name) => name + suffix);
}

/**
 * tfjs-node's binding with our log level; before it a module that loads TensorFlow quietly, and one that loads our
 * own operations into it.
 */
function nativeModules(): NativeModule[] {
  const folder = join(dirname(require.resolve("@tensorflow/tfjs-node-gpu/package.json")), "binding");
  const tfjs = readdirSync(folder).sort();
  const inputs = [...tfjs.map((file) => join(folder, file)), own("log_level.cc")];
  return [
    { file: "quiet_load.node", inputs: [own("quiet_load.cc")], links: false, flags: [] },
    { file: "kernel_library.node", inputs: [own("kernel_library.cc")], links: true, flags: [] },
    { file: "tfjs_binding.node", inputs, links: true, flags: [] },
  ];
}

/** Its float32 arithmetic is the same on every CPU: no multiplication is fused with an addition. */
function picturesModule(): NativeModule {
  const inputs = [own("pictures.cc"), own("log_level.cc")];
  const flags = ["-O3", "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno", "-w"];
  return { file: "pictures.node", inputs, links: true, flags };
}

function own(file: string): string {
  return join(import.meta.dirname, "native", file);
}

/** Flags without paths of this machine: the rpath is relative, so a cache can be moved or shared. */
function compileFlags(os: string, tensorflowName: string): string[] {
  const shared = ["-std=c++17", "-O2", "-fPIC", "-shared", "-DNAPI_VERSION=8", "-D_GLIBCXX_USE_CXX11_ABI=1"];
  const libraries = `../../tensorflow/${tensorflowName}/tensorflow`;
  return os === "darwin"
    ? [...shared, "-undefined", "dynamic_lookup", `-Wl,-rpath,@loader_path/${libraries}`]
    : [...shared, `-Wl,-rpath,$ORIGIN/${libraries}`];
}

/**
 * As the binding's, but for this CPU or a level of CPUs, and with sums that may be reordered. Not -ffast-math: g++ would link code into
 * the library that makes the thread that loads it, JavaScript's, treat subnormal numbers as zero.
 */
function kernelFlags(tensorflowName: string, level?: CpuLevel): string[] {
  const native = process.arch === "x64" ? ["-march=native", "-mno-avx512fp16"] : ["-mcpu=native"];
  const cpu = level === undefined ? native : [`-march=${level.name}`];
  const sums = ["-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno"];
  // The last two as TensorFlow itself was compiled: they change the layout of what it hands to an operation.
  const same = ["-DNDEBUG", "-DEIGEN_MAX_ALIGN_BYTES=64"];
  return [...compileFlags(process.platform, tensorflowName), "-O3", ...cpu, ...sums, ...same, "-w"];
}

function hash(parts: (string | Uint8Array)[]): string {
  const sum = createHash("sha256");
  for (const part of parts) sum.update(part).update("\0");
  return sum.digest("hex");
}
