import { availableParallelism, cpus } from "node:os";
import { loadEngine } from "./binding.ts";
import { cacheDirectory } from "./cache.ts";
import { cpuFlags } from "./cpu-flags.ts";
import { command } from "./install/command.ts";

/**
 * What the engine is and what it runs on, in words, in the order in which to show it. Loads the engine into this
 * thread; throws EngineError if it is not installed.
 */
export async function engineInfo(): Promise<Record<string, string>> {
  const engine = await loadEngine();
  return {
    tensorflow: `${engine.tensorflow} (${engine.variant} build)`,
    tfjs: engine.tfjs,
    node: engine.node,
    device: engine.device === "gpu" ? await gpus() : "CPU",
    cpu: `${cpus()[0]?.model.trim() ?? "unknown"}, ${availableParallelism()} threads`,
    features: (await cpuFeatures()).join(" ") || "unknown",
    kernels: engine.kernels,
    cache: cacheDirectory(),
    engine: engine.path,
  };
}

/** Instruction sets that decide how fast TensorFlow's CPU kernels are, as the system names them. */
async function cpuFeatures(): Promise<string[]> {
  const known =
    /^(sse4_2|avx|avx2|fma|f16c|avx512(f|_vnni|_bf16|_fp16)|amx_(bf16|int8|tile)|asimd|asimdhp|bf16|i8mm|sve2?)$/;
  return (await systemFlags()).filter((flag) => known.test(flag));
}

async function systemFlags(): Promise<string[]> {
  if (process.platform === "darwin") {
    const listed = (await command("sysctl", ["hw.optional.arm"])).stdout;
    const names: Record<string, string> = { AdvSIMD: "asimd", FEAT_BF16: "bf16", FEAT_I8MM: "i8mm" };
    return Object.keys(names)
      .filter((name) => listed.includes(`${name}: 1`))
      .map((name) => names[name] as string);
  }
  return cpuFlags();
}

async function gpus(): Promise<string> {
  const listed = await command("nvidia-smi", [
    "--query-gpu=name,memory.total,driver_version",
    "--format=csv,noheader",
  ]);
  return `GPU: ${listed.status === 0 ? listed.stdout.trim().replaceAll("\n", "; ") : "unknown"}`;
}
