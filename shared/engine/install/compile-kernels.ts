import { rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import type { EnginePlace, KernelPlace } from "../cache.ts";
import { FAILED, libraryOf } from "../kernel-library.ts";
import { command } from "./command.ts";
import { firstError, linkFlags, loadError } from "./compile.ts";

/**
 * Compiles our own operations into `directory`, as many at once as there are cores (about 10 s each), and loads each
 * in another process (not those for a level that this CPU does not have); returns the files made. One that fails is left out and named, with the reason, in `failed.txt`:
 * an engine without it computes the same by TensorFlow's own operations.
 */
export async function compileKernels(
  place: EnginePlace,
  kernels: KernelPlace,
  directory: string,
): Promise<string[]> {
  const files: string[] = [];
  const failures: string[] = [];
  const waiting = [...kernels.sources];
  const work = async (): Promise<void> => {
    for (let source = waiting.shift(); source !== undefined; source = waiting.shift()) {
      const failure = await compileOne(place, kernels, source, directory);
      if (failure === undefined) files.push(libraryOf(source));
      else failures.push(`${basename(source)}: ${failure}`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  if (failures.length > 0) {
    writeFileSync(join(directory, FAILED), `${failures.sort().join("\n")}\n`);
    files.push(FAILED);
  }
  return files.sort();
}

/** Why there is no library of this source, or undefined if there is one. */
async function compileOne(
  place: EnginePlace,
  { flags, runsHere }: KernelPlace,
  source: string,
  directory: string,
): Promise<string | undefined> {
  const library = join(directory, libraryOf(source));
  const output = ["-o", library];
  const compiled = await command("g++", [
    ...flags,
    `-I${place.include}`,
    source,
    ...linkFlags(place),
    ...output,
  ]);
  if (compiled.status !== 0) return firstError(compiled.stderr);
  // Already loading a library runs code of it.
  if (!runsHere) return undefined;
  const modules = place.modules.map((module) => join(place.engine, module.file));
  const loaded = await command(process.execPath, [
    "-e",
    `const [, library] = ${JSON.stringify(modules)}.map((path) => require(path)); library.load(${JSON.stringify(library)})`,
  ]);
  if (loaded.status === 0) return undefined;
  rmSync(library);
  return loadError(loaded);
}
