import { type EnginePlace, enginePlace, type KernelPlace } from "../cache.ts";
import { type Variant, wheelsFor } from "./pins.ts";
import { isStamped } from "./stamp.ts";

/** True if TensorFlow's libraries are in the cache, whole. */
export function hasTensorflow(place: EnginePlace): boolean {
  return isStamped(
    place.tensorflow,
    place.wheels.map((wheel) => wheel.sha256),
  );
}

/** True if the modules of this version of the project are in the cache, whole. */
export function hasModules(place: EnginePlace): boolean {
  return isStamped(place.engine, [place.key]);
}

/** True if our own operations were compiled into this place, or tried to be. */
export function isCompiled({ directory, key }: KernelPlace): boolean {
  return isStamped(directory, [key]);
}

/** True if that was done for this very CPU; also where the engine has none. */
export function hasKernels({ kernels }: EnginePlace): boolean {
  return kernels === undefined || isCompiled(kernels);
}

/**
 * The engine that a thread would load: the CUDA build if it is installed, else the CPU build, else undefined.
 * `FUNMATCH_DEVICE=cpu` passes the CUDA build over. Takes a few milliseconds.
 */
export function installedEngine(env: NodeJS.ProcessEnv = process.env): EnginePlace | undefined {
  const variants: Variant[] = env.FUNMATCH_DEVICE === "cpu" ? ["cpu"] : ["cuda", "cpu"];
  return variants
    .filter((variant) => wheelsFor(`${process.platform}-${process.arch}`, variant) !== undefined)
    .map((variant) => enginePlace(variant))
    .find((place) => hasTensorflow(place) && hasModules(place));
}
