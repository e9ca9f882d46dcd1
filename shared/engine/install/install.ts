import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname, join } from "node:path";
import lockfile from "proper-lockfile";
import { type EnginePlace, enginePlace, type KernelPlace, libraryNames } from "../cache.ts";
import { EngineError } from "../engine-error.ts";
import { FAILED } from "../kernel-library.ts";
import { compileModules, compilePictures, hasCompiler, requireCompiler, tryModules } from "./compile.ts";
import { compileKernels } from "./compile-kernels.ts";
import { downloadWheel, requirePip } from "./download.ts";
import { hasModules, hasTensorflow, isCompiled } from "./installed.ts";
import type { Wheel } from "./pins.ts";
import { type Progress, progressOnStderr } from "./progress.ts";
import { requireSpace } from "./space.ts";
import { writeStamp } from "./stamp.ts";
import { unpack } from "./unpack.ts";

export interface InstallOptions {
  /** NVIDIA GPUs: TensorFlow's CUDA build and the NVIDIA libraries it needs (Linux x64). */
  cuda?: boolean;
  /** Our own operations for levels of CPUs instead of this very one: for an image that other machines run. */
  portable?: boolean;
  /** Default: lines on stderr. */
  onProgress?: (progress: Progress) => void;
}

type Report = (progress: Omit<Progress, "seconds">) => void;

/**
 * Makes the engine: fetches TensorFlow's pinned wheel by pip, unpacks its libraries and headers, compiles
 * tfjs-node's binding and our own operations against them. Does nothing if it is there. Several may run at once, also on a shared home
 * directory: one works, the others wait and find the result. Each part is made under a temporary name and renamed
 * when whole, so an interrupted installation leaves nothing that could be mistaken for an engine.
 *
 * Throws EngineError, one line that says what is missing and what to do.
 */
export async function installEngine(options: InstallOptions = {}): Promise<EnginePlace> {
  const place = enginePlace(options.cuda ? "cuda" : "cpu");
  const own = place.kernels === undefined ? [] : [place.kernels];
  const wanted = options.portable ? place.portable : own;
  const complete = hasTensorflow(place) && hasModules(place);
  if (complete && wanted.every(isCompiled)) return place;
  // An engine that came without them, from a machine with a compiler, works on one that has none.
  if (complete && !options.portable && !(await hasCompiler())) return place;
  const onProgress = options.onProgress ?? progressOnStderr();
  const began = performance.now();
  const report: Report = (p) => onProgress({ ...p, seconds: (performance.now() - began) / 1000 });
  await requireCompiler();
  if (!hasTensorflow(place)) await requirePip();
  makeCache(place.cache);
  const unlock = await lock(place.cache, report);
  try {
    removePartial(place);
    if (!hasTensorflow(place)) await installTensorflow(place, report);
    if (!hasModules(place)) await installModules(place, report);
    for (const kernels of wanted) if (!isCompiled(kernels)) await installKernels(place, kernels, report);
  } finally {
    await unlock();
  }
  return place;
}

async function installTensorflow(place: EnginePlace, report: Report): Promise<void> {
  await requireSpace(place);
  const partial = partialOf(place.tensorflow);
  const files: string[] = [];
  for (const wheel of place.wheels) {
    const wheelDirectory = join(partial, "wheel");
    mkdirSync(wheelDirectory, { recursive: true });
    const download = { phase: "download", what: wheel.requirement, total: wheel.downloadMb } as const;
    report({ ...download, done: 0 });
    const path = await downloadWheel(wheel, wheelDirectory, (bytes) =>
      // pip writes the file, then copies it
      report({ ...download, done: Math.min(bytes / 1e6, wheel.downloadMb) }),
    );
    files.push(...(await unpackWheel(wheel, path, partial, report)));
    rmSync(wheelDirectory, { recursive: true });
  }
  const libraries = libraryNames().map((name) => join("tensorflow", name));
  const missing = libraries.find((library) => !files.includes(library));
  if (missing !== undefined) throw new EngineError(`the TensorFlow wheel holds no ${missing}`);
  // 13,000 headers are not looked at on every start; the two big files stand for the rest
  writeStamp(
    partial,
    place.wheels.map((wheel) => wheel.sha256),
    [...libraries, ...files.filter((file) => file.startsWith("nvidia/") && file.includes(".so"))],
  );
  moveInto(partial, place.tensorflow);
}

async function unpackWheel(wheel: Wheel, path: string, into: string, report: Report): Promise<string[]> {
  const step = { phase: "unpack", what: wheel.requirement, total: wheel.unpackedMb } as const;
  report({ ...step, done: 0 });
  let bytes = 0;
  let reported = 0;
  return unpack(path, into, wanted, (count) => {
    bytes += count;
    if (bytes - reported < 5e6) return;
    reported = bytes;
    report({ ...step, done: bytes / 1e6 });
  });
}

/** What is kept of a wheel, at the place it has there: TensorFlow finds NVIDIA's libraries relative to its own. */
function wanted(entry: string): string | undefined {
  if (libraryNames().some((name) => entry === `tensorflow/${name}`)) return entry;
  if (entry.startsWith("tensorflow/include/")) return entry;
  if (entry.includes(".alt.")) return undefined; // a second copy of the runtime compiler
  if (/^nvidia\/[^/]+\/lib\//.test(entry) || /^nvidia\/cuda_nvcc\/(bin|nvvm\/libdevice)\//.test(entry))
    return entry;
  return undefined;
}

async function installModules(place: EnginePlace, report: Report): Promise<void> {
  const partial = partialOf(place.engine);
  mkdirSync(partial, { recursive: true });
  const files = await compiling(report, "the binding to TensorFlow", () => compileModules(place, partial));
  report({ phase: "check", what: "that it loads" });
  await tryModules(files.map((file) => join(partial, file)));
  const failure = await compiling(report, "what makes views fast", () => compilePictures(place, partial));
  if (failure === undefined) files.push(place.pictures.file);
  else report({ phase: "check", what: `without what makes views fast, so they are slower (${failure})` });
  writeStamp(partial, [place.key], files);
  moveInto(partial, place.engine);
}

async function installKernels(place: EnginePlace, kernels: KernelPlace, report: Report): Promise<void> {
  const partial = partialOf(kernels.directory);
  mkdirSync(partial, { recursive: true });
  const cpu = kernels.cpu === "native" ? "this CPU" : kernels.cpu;
  const files = await compiling(report, `fused operations for ${cpu}`, () =>
    compileKernels(place, kernels, partial),
  );
  if (files.includes(FAILED)) {
    const failures = readFileSync(join(partial, FAILED), "utf8").trim().replaceAll("\n", "; ");
    report({ phase: "check", what: `without some fused operations, so slower (${failures})` });
  }
  writeStamp(partial, [kernels.key], files);
  moveInto(partial, kernels.directory);
}

async function compiling<T>(report: Report, name: string, work: () => Promise<T>): Promise<T> {
  const progress = { phase: "compile", what: `${name} (g++)` } as const;
  report(progress);
  const timer = setInterval(() => report(progress), 1000);
  return work().finally(() => clearInterval(timer));
}

function makeCache(cache: string): void {
  try {
    mkdirSync(cache, { recursive: true });
    accessSync(cache, constants.W_OK);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new EngineError(
      `the cache ${cache} cannot be written (${reason}): set FUNMATCH_CACHE to a directory that can`,
    );
  }
}

async function lock(cache: string, report: Report): Promise<() => Promise<void>> {
  const options = {
    lockfilePath: join(cache, "install.lock"),
    realpath: false,
    stale: 30_000,
    update: 5_000,
  };
  for (;;) {
    try {
      return await lockfile.lock(cache, options);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ELOCKED") throw error;
      report({ phase: "wait", what: "for another installation into this cache" });
      await new Promise((resume) => setTimeout(resume, 500));
    }
  }
}

function partialOf(directory: string): string {
  return `${directory}.partial`;
}

/** What an interrupted installation left. We hold the lock, so nobody is at work on it. */
function removePartial(place: EnginePlace): void {
  const kernels = place.portable.concat(place.kernels ?? []).map((kernel) => kernel.directory);
  const made = [place.tensorflow, place.engine, ...kernels].map((directory) => dirname(directory));
  for (const parent of new Set(made)) {
    if (!existsSync(parent)) continue;
    for (const name of readdirSync(parent)) {
      if (name.endsWith(".partial")) rmSync(join(parent, name), { recursive: true, force: true });
    }
  }
}

function moveInto(partial: string, directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  renameSync(partial, directory);
}
