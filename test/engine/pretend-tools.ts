import { execFileSync } from "node:child_process";
import { chmodSync, createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { ZipFile } from "yazl";
import { libraryNames } from "../../shared/engine/cache.ts";

/**
 * A `python3` whose pip "downloads" a small wheel from the disk, and a `g++` that "compiles" a module which loads
 * and does nothing, nor does its function `load`: so the installation can be watched, interrupted and doubled in a second. What they were called
 * for is in `calls`. The real tools make the real engine on every machine that runs the tests.
 */
export interface PretendTools {
  /** Put this, and nothing else, into PATH. */
  bin: string;
  calls: string;
  /** All that the compiler was asked with, a line for each time. */
  asked: string;
  /** The sources that were "compiled", one after the other. */
  compiled: string;
}

/** @param wheel names and contents of further files in the wheel */
export async function pretendTools(
  directory: string,
  wheel: Record<string, string> = {},
): Promise<PretendTools> {
  const bin = join(directory, "bin");
  const calls = join(directory, "calls.txt");
  const asked = join(directory, "asked.txt");
  const compiled = join(directory, "compiled.txt");
  mkdirSync(bin, { recursive: true });
  writeFileSync(calls, "");
  const wheelPath = join(directory, "small.whl");
  const libraries = Object.fromEntries(
    libraryNames().map((name) => [`tensorflow/${name}`, `pretended ${name}`]),
  );
  await writeZip(wheelPath, {
    ...libraries,
    "tensorflow/include/tensorflow/c/c_api.h": "// a header\n",
    "tensorflow/python/not_needed.py": "pass\n",
    ...wheel,
  });
  script(
    join(bin, "python3"),
    `case "$*" in
       --version|*"pip --version") exit 0;;
       *"pip download"*)
         echo download >> ${calls}
         while [ $# -gt 0 ]; do [ "$1" = --dest ] && into=$2; shift; done
         sleep 0.3
         cp ${wheelPath} $into/tensorflow-0-none.whl;;
     esac`,
  );
  const module = compileEmptyModule(directory);
  script(
    join(bin, "g++"),
    `[ "$*" = --version ] && exit 0
     echo "$*" >> ${asked}
     while [ $# -gt 0 ]; do
       case "$1" in *.cc) cat "$1" >> ${compiled};; -o) output=$2;; esac
       shift
     done
     echo compile $(basename $output) >> ${calls}
     sleep 0.3
     cp ${module} $output`,
  );
  return { bin, calls, asked, compiled };
}

/** A program made of lines of shell. */
export function script(path: string, body: string): void {
  writeFileSync(path, `#!/bin/sh\nPATH=/usr/bin:/bin\n${body}\n`);
  chmodSync(path, 0o755);
}

function compileEmptyModule(directory: string): string {
  const headers = createRequire(import.meta.resolve("@funmatch/engine")).resolve(
    "node-api-headers/package.json",
  );
  const source = join(directory, "empty.c");
  const output = join(directory, "empty.node");
  writeFileSync(
    source,
    `#include <node_api.h>
     static napi_value load(napi_env env, napi_callback_info info) { return NULL; }
     NAPI_MODULE_INIT() {
       napi_value function;
       napi_create_function(env, "load", NAPI_AUTO_LENGTH, load, NULL, &function);
       napi_set_named_property(env, exports, "load", function);
       return exports;
     }`,
  );
  const undefinedLater = process.platform === "darwin" ? ["-undefined", "dynamic_lookup"] : [];
  const include = `-I${join(dirname(headers), "include")}`;
  execFileSync("g++", ["-xc", "-shared", "-fPIC", ...undefinedLater, include, source, "-o", output]);
  return output;
}

async function writeZip(path: string, files: Record<string, string>): Promise<void> {
  const zip = new ZipFile();
  for (const [name, text] of Object.entries(files)) zip.addBuffer(Buffer.from(text), name);
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(path));
}
