import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type EnginePlace, libraryNames } from "../cache.ts";
import { EngineError } from "../engine-error.ts";
import { command } from "./command.ts";

const nodeHeaders = join(
  dirname(createRequire(import.meta.url).resolve("node-api-headers/package.json")),
  "include",
);

/** Throws, in one line, if there is no C++ compiler. */
export async function requireCompiler(): Promise<void> {
  const found = await command("g++", ["--version"]);
  if (found.status === 0) return;
  throw new EngineError(
    "g++ was not found, and it compiles the binding to TensorFlow: install it " +
      "(Debian, Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++; macOS: xcode-select --install)",
  );
}

/** Compiles tfjs-node's binding against the unpacked libraries (about 10 s) into `output`. */
export async function compileBinding(place: EnginePlace, output: string): Promise<void> {
  const libraries = join(place.tensorflow, "tensorflow");
  const link =
    process.platform === "darwin"
      ? libraryNames().map((name) => join(libraries, name))
      : [`-L${libraries}`, ...libraryNames().map((name) => `-l:${name}`)];
  const done = await command("g++", [
    ...place.flags,
    `-I${place.include}`,
    `-I${nodeHeaders}`,
    ...place.sources,
    ...link,
    "-o",
    output,
  ]);
  if (done.status !== 0) {
    const line =
      done.stderr.split("\n").find((text) => /error|undefined reference/.test(text)) ?? done.stderr;
    throw new EngineError(`g++ could not compile the binding to TensorFlow (it needs C++17): ${line.trim()}`);
  }
}

/** Loads the fresh binding in another process, so that a library that this system cannot run is found now. */
export async function tryBinding(binding: string): Promise<void> {
  const script = `process.stdout.write(require(${JSON.stringify(binding)}).TF_Version)`;
  const done = await command(process.execPath, ["-e", script], { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2" });
  if (done.status === 0) return;
  const line =
    done.stderr.split("\n").find((text) => /Error|GLIBC|cannot open/.test(text)) ?? `status ${done.status}`;
  throw new EngineError(`TensorFlow was compiled but does not load on this system: ${line.trim()}`);
}
