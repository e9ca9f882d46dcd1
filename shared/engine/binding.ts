import { createRequire } from "node:module";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import type { TFJSBinding } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { type EnginePlace, enginePlace } from "./cache.ts";
import { EngineError } from "./engine-error.ts";
import { installedEngine } from "./install/installed.ts";
import type { Variant } from "./install/pins.ts";
import { type KernelLibrary, loadKernels } from "./kernel-library.ts";
import { registerKernels } from "./own-kernels.ts";

export interface EngineInfo {
  tensorflow: string;
  tfjs: string;
  node: string;
  variant: Variant;
  device: "cpu" | "gpu";
  /** The families of our own operations, the level of CPUs if not this very one, or why there are none or not all. */
  kernels: string;
  /** The directory of the compiled binding. */
  path: string;
}

const require = createRequire(import.meta.url);
let loaded: Promise<EngineInfo> | undefined;

/**
 * Loads TensorFlow into this thread and makes it tfjs's backend; later calls return the same. Each worker thread
 * that computes calls it once for itself. The CUDA engine is taken if it is installed, else the CPU engine;
 * `FUNMATCH_DEVICE=cpu` takes the CPU engine in any case.
 *
 * Thread budgets come from the environment when the first thread of the process loads the engine
 * (`TF_NUM_INTRAOP_THREADS`, `TF_NUM_INTEROP_THREADS`): set them on the main thread, whose environment is the real one.
 */
export function loadEngine(): Promise<EngineInfo> {
  loaded ??= load();
  return loaded;
}

/** The native functions under tfjs, for those who record or run graphs. Only after `loadEngine()`. */
export function engineBinding(): TFJSBinding {
  return (tf.backend() as NodeJSKernelBackend).binding;
}

async function load(): Promise<EngineInfo> {
  const place = installedEngine();
  if (place === undefined) {
    const where = enginePlace("cpu").cache;
    throw new EngineError(`the engine is not installed in ${where}: run \`npx funmatch engine install\``);
  }
  restoreUtil();
  const [, library, binding] = requireModules(place);
  const { NodeJSKernelBackend } =
    require("@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend") as typeof import("@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js");
  tf.registerBackend("tensorflow", () => new NodeJSKernelBackend(binding, "tfjs-node"), 3);
  require("@tensorflow/tfjs-node-gpu/dist/register_all_kernels");
  if (!(await tf.setBackend("tensorflow")))
    throw new EngineError("tfjs did not accept TensorFlow as its backend");
  await tf.ready();
  const gpu = binding.isUsingGpuDevice();
  if (place.variant === "cuda" && !gpu) {
    throw new EngineError(
      "the CUDA engine is installed but TensorFlow sees no GPU: check the NVIDIA driver with nvidia-smi, " +
        "or set FUNMATCH_DEVICE=cpu to compute on the CPU",
    );
  }
  const own = loadKernels(place, library);
  registerKernels(own.families);
  return {
    tensorflow: binding.TF_Version,
    tfjs: tf.version_core,
    node: process.versions.node,
    variant: place.variant,
    device: gpu ? "gpu" : "cpu",
    kernels: [
      ...own.families,
      ...(own.level === undefined ? [] : [`(for ${own.level})`]),
      ...(own.missing === undefined ? [] : [`(${own.missing})`]),
    ].join(" "),
    path: place.engine,
  };
}

function requireModules(place: EnginePlace): [unknown, KernelLibrary, TFJSBinding] {
  try {
    return place.modules.map((module) => require(join(place.engine, module.file))) as ReturnType<
      typeof requireModules
    >;
  } catch (error) {
    throw new EngineError(
      `the engine in ${place.engine} does not load (${(error as Error).message}): ` +
        "remove that directory and run `npx funmatch engine install`",
    );
  }
}

/** tfjs-node calls two functions of `node:util` that newer Node versions no longer have, or warn of (DEP0044). */
function restoreUtil(): void {
  const util = require("node:util") as Record<string, unknown>;
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  util.isArray = Array.isArray;
}
