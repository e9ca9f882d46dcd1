import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { EnginePlace } from "./cache.ts";
import { isCompiled } from "./install/installed.ts";

/** Among the compiled operations: what could not be compiled, and why. */
export const FAILED = "failed.txt";

/** The module that brings libraries of operations into TensorFlow (native/kernel_library.cc). */
export interface KernelLibrary {
  load(path: string): void;
}

/** The families of our own operations that this process has, and why some or all are missing. */
export interface LoadedKernels {
  families: string[];
  /** The level of CPUs that they are compiled for, where it is not this very CPU. */
  level?: string;
  missing?: string;
}

/** The file that a source of operations is compiled into. */
export function libraryOf(source: string): string {
  return basename(source).replace(/\.cc$/, ".so");
}

/**
 * Loads our own operations into the process's TensorFlow, before any graph names them: those for this very CPU, else
 * those for the best level that it has. Each thread may call it; the first does the work. `FUNMATCH_KERNELS=plain` leaves them out: everything is then computed by TensorFlow's own.
 */
export function loadKernels(
  { kernels, portable }: EnginePlace,
  library: KernelLibrary,
  env: NodeJS.ProcessEnv = process.env,
): LoadedKernels {
  if (kernels === undefined) return { families: [], missing: "none for a GPU" };
  if (env.FUNMATCH_KERNELS === "plain") return { families: [], missing: "FUNMATCH_KERNELS is plain" };
  const places = [kernels, ...portable];
  const found = places.find((place) => place.runsHere && isCompiled(place));
  if (found === undefined) {
    const others = places.filter(isCompiled).map((place) => place.cpu);
    // What was compiled for other CPUs came in an image, where nothing can be installed.
    const instead =
      others.length > 0 ? `, only for ${others.join(" and ")}` : "; run `npx funmatch engine install`";
    const missing = `not compiled for this CPU${instead}`;
    process.stderr.write(`engine: no fused operations, so slower: ${missing}\n`);
    return { families: [], missing };
  }
  const { directory, sources, cpu } = found;
  const there = sources.filter((source) => existsSync(join(directory, libraryOf(source))));
  for (const source of there) library.load(join(directory, libraryOf(source)));
  const families = there.map((source) => basename(source, ".cc"));
  const level = cpu === "native" ? {} : { level: cpu };
  if (there.length === sources.length) return { families, ...level };
  return { families, ...level, missing: readFileSync(join(directory, FAILED), "utf8").trim() };
}
