import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { type EnginePlace, libraryNames, type NativeModule } from "../cache.ts";
import { EngineError } from "../engine-error.ts";
import { command, type Finished } from "./command.ts";
import { sourceOf } from "./sources.ts";

const nodeHeaders = join(
  dirname(createRequire(import.meta.url).resolve("node-api-headers/package.json")),
  "include",
);

export async function hasCompiler(): Promise<boolean> {
  return (await command("g++", ["--version"])).status === 0;
}

/** Throws, in one line, if there is no C++ compiler. */
export async function requireCompiler(): Promise<void> {
  if (await hasCompiler()) return;
  throw new EngineError(
    "g++ was not found, and it compiles the binding to TensorFlow: install it " +
      "(Debian, Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++; macOS: xcode-select --install)",
  );
}

/** Compiles the engine's modules against the unpacked libraries (about 10 s) into `directory`; returns their names. */
export async function compileModules(place: EnginePlace, directory: string): Promise<string[]> {
  for (const module of place.modules) await compileModule(place, module, directory);
  return place.modules.map((module) => module.file);
}

/** The same for the module of pictures (another 8 s); returns why there is none, or undefined if there is one. */
export async function compilePictures(place: EnginePlace, directory: string): Promise<string | undefined> {
  const file = join(directory, place.pictures.file);
  try {
    await compileModule(place, place.pictures, directory);
    await tryModules([join(directory, place.modules[0]!.file), file]);
    return undefined;
  } catch (error) {
    rmSync(file, { force: true });
    return (error as Error).message;
  }
}

async function compileModule(place: EnginePlace, module: NativeModule, directory: string): Promise<void> {
  const folder = join(directory, "sources");
  mkdirSync(folder);
  try {
    const copies = module.inputs.map((file) => {
      const copy = join(folder, basename(file));
      writeFileSync(copy, sourceOf(file));
      return copy;
    });
    const sources = copies.filter((file) => file.endsWith(".cc"));
    const headers = [`-I${place.include}`, `-I${nodeHeaders}`];
    const output = join(directory, module.file);
    const done = await command("g++", [
      ...place.flags,
      ...module.flags,
      ...headers,
      ...sources,
      ...(module.links ? linkFlags(place) : ["-ldl"]),
      "-o",
      output,
    ]);
    if (done.status !== 0) {
      throw new EngineError(
        `g++ could not compile ${module.file} (it needs C++17): ${firstError(done.stderr)}`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function linkFlags(place: EnginePlace): string[] {
  const libraries = join(place.tensorflow, "tensorflow");
  return process.platform === "darwin"
    ? libraryNames().map((name) => join(libraries, name))
    : [`-L${libraries}`, ...libraryNames().map((name) => `-l:${name}`)];
}

/** What a compiler's or linker's message is about. */
export function firstError(stderr: string): string {
  const line = stderr.split("\n").find((text) => /error|undefined reference/.test(text));
  return (line ?? stderr).trim();
}

/** Loads the fresh modules in another process, so that a library that this system cannot run is found now. */
export async function tryModules(paths: string[]): Promise<void> {
  const done = await command(process.execPath, [
    "-e",
    `for (const path of ${JSON.stringify(paths)}) require(path)`,
  ]);
  if (done.status === 0) return;
  throw new EngineError(`TensorFlow was compiled but does not load on this system: ${loadError(done)}`);
}

/** Why a process that should only load something ended badly. */
export function loadError({ status, stderr }: Finished): string {
  const line = stderr.split("\n").find((text) => /Error|GLIBC|cannot open/.test(text));
  return (line ?? `status ${status}`).trim();
}
