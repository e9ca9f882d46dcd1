import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { enginePlace, libraryNames } from "../../shared/engine/cache.ts";
import { cpuLevels } from "../../shared/engine/cpu-levels.ts";
import { requireSpace } from "../../shared/engine/install/space.ts";
import { type PretendTools, pretendTools, script } from "./pretend-tools.ts";

let directory: string;
let cache: string;
let tools: PretendTools;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "funmatch-install-"));
  cache = join(directory, "cache");
  tools = await pretendTools(directory);
});
afterEach(() => rmSync(directory, { recursive: true }));

describe("funmatch engine install", () => {
  test("fetches, unpacks what is needed, compiles, and leaves nothing else behind", async () => {
    expect(await install()).toMatchObject({ status: 0 });
    expect(calls()).toEqual(["download", ...MODULES, ...KERNELS]);
    expect(files("tensorflow")).toEqual([
      "stamp.json",
      "tensorflow/include/tensorflow/c/c_api.h",
      ...libraryNames().map((name) => `tensorflow/${name}`),
    ]);
    expect(files("engine")).toEqual([
      "kernel_library.node",
      "pictures.node",
      "quiet_load.node",
      "stamp.json",
      "tfjs_binding.node",
    ]);
    expect(files("kernels")).toEqual([...libraries(), "stamp.json"].sort());
    expect(readdirSync(cache).sort()).toEqual(["engine", "kernels", "tensorflow"]);
  });

  test("gives each thread its own of tfjs-node's set of names, which has no lock", async () => {
    await install();
    const compiled = readFileSync(tools.compiled, "utf8");
    expect(compiled).toContain("static thread_local std::set<std::string> ATTR_NAME_SET;");
    expect(compiled).not.toContain("static std::set");
  });

  test("does nothing the second time", async () => {
    await install();
    const { status, stderr } = await install();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(calls()).toHaveLength(1 + MODULES.length + KERNELS.length);
  });

  test("twice at once: one works, the other waits and finds it done", async () => {
    const both = await Promise.all([install(), install()]);
    expect(both.map((one) => one.status)).toEqual([0, 0]);
    expect(calls()).toEqual(["download", ...MODULES, ...KERNELS]);
    expect(both.map((one) => one.stderr).join("")).toContain("wait for another installation");
  });

  test.each([
    ["stamp is damaged", (folder: string) => writeFileSync(join(folder, "stamp.json"), "{")],
    ["module is cut short", (folder: string) => writeFileSync(join(folder, "tfjs_binding.node"), "")],
    ["stamp is missing", (folder: string) => rmSync(join(folder, "stamp.json"))],
  ])("compiles again when the %s", async (_what, damage) => {
    await install();
    const engine = join(cache, "engine");
    damage(join(engine, readdirSync(engine)[0] as string));
    expect(await install()).toMatchObject({ status: 0 });
    expect(calls()).toEqual(["download", ...MODULES, ...KERNELS, ...MODULES]);
  });

  test("compiles the fused operations again when one is cut short", async () => {
    await install();
    const kernels = join(cache, "kernels");
    writeFileSync(join(kernels, readdirSync(kernels)[0] as string, libraries()[0] as string), "");
    expect(await install()).toMatchObject({ status: 0 });
    expect(calls()).toHaveLength(1 + MODULES.length + 2 * KERNELS.length);
  });

  test("does without a fused operation that does not compile, says so, and does not try again", async () => {
    const compiler = join(tools.bin, "g++");
    renameSync(compiler, join(directory, "works"));
    script(
      compiler,
      `case "$*" in *.so) echo "x.cc:1: error: no such instruction" >&2; exit 1;; esac
       exec ${join(directory, "works")} "$@"`,
    );
    const { status, stderr } = await install();
    expect(status).toBe(0);
    expect(stderr).toMatch(
      /without some fused operations, so slower \(.*x\.cc:1: error: no such instruction/,
    );
    expect(files("kernels")).toEqual(["failed.txt", "stamp.json"]);
    expect(await install()).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test("does without what makes views fast where it does not compile, says so, and does not try again", async () => {
    const compiler = join(tools.bin, "g++");
    renameSync(compiler, join(directory, "works"));
    script(
      compiler,
      `case "$*" in *pictures.node) echo "x.cc:1: error: no jpeg_mem.h" >&2; exit 1;; esac
       exec ${join(directory, "works")} "$@"`,
    );
    const { status, stderr } = await install();
    expect(status).toBe(0);
    expect(stderr).toMatch(/without what makes views fast, so they are slower \(.*error: no jpeg_mem\.h\)/);
    expect(files("engine")).toEqual([
      "kernel_library.node",
      "quiet_load.node",
      "stamp.json",
      "tfjs_binding.node",
    ]);
    expect(await install()).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test("an engine without fused operations for this CPU is whole where there is no compiler", async () => {
    await install();
    rmSync(join(cache, "kernels"), { recursive: true });
    rmSync(join(tools.bin, "g++"));
    expect(await install()).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test("--portable makes fused operations for levels of CPUs, each with its instructions and no others", async () => {
    expect(await install("--portable")).toMatchObject({ status: 0 });
    const levels = cpuLevels().map((level) => level.name);
    expect(levels.length).toBeGreaterThan(0);
    expect(readdirSync(join(cache, "kernels"))).toHaveLength(levels.length);
    expect(calls()).toEqual(["download", ...MODULES, ...levels.flatMap(() => KERNELS).sort()]);
    const asked = readFileSync(tools.asked, "utf8").match(/-m(arch|cpu)=\S+/g);
    expect(new Set(asked)).toEqual(new Set(levels.map((level) => `-march=${level}`)));
    expect(await install("--portable")).toEqual({ status: 0, stdout: "", stderr: "" });
    // On this machine those for this very CPU are still to be had.
    await install();
    expect(readdirSync(join(cache, "kernels"))).toHaveLength(levels.length + 1);
  });

  test("--portable where there is no compiler says so, if they are not there", async () => {
    await install();
    rmSync(join(tools.bin, "g++"));
    const { status, stderr } = await install("--portable");
    expect(status).toBe(2);
    expect(stderr).toMatch(/^funmatch: g\+\+ was not found/);
  });

  test("fetches again when a library is missing", async () => {
    await install();
    const tensorflow = join(cache, "tensorflow");
    rmSync(join(tensorflow, readdirSync(tensorflow)[0] as string, "tensorflow", libraryNames()[0] as string));
    expect(await install()).toMatchObject({ status: 0 });
    expect(calls()).toEqual(["download", ...MODULES, ...KERNELS, "download"]);
  });

  test("goes on where a killed installation left its lock and half of its files", async () => {
    const left = join(cache, "tensorflow", "2.20.0-linux-x64-cpu.partial");
    const lock = join(cache, "install.lock");
    mkdirSync(left, { recursive: true });
    mkdirSync(lock);
    const aMinuteAgo = Date.now() / 1000 - 60;
    utimesSync(lock, aMinuteAgo, aMinuteAgo);
    expect(await install()).toMatchObject({ status: 0 });
    expect(existsSync(left)).toBe(false);
    expect(existsSync(lock)).toBe(false);
  });

  test("refuses a wheel that writes outside its folder", async () => {
    const name = "tensorflow/include/../../../../outside.h";
    tools = await pretendTools(directory, { [name.replaceAll("..", "__")]: "" });
    const wheel = join(directory, "small.whl");
    const bytes = readFileSync(wheel);
    writeFileSync(wheel, Buffer.from(bytes.toString("latin1").replaceAll("__", ".."), "latin1"));
    const { status } = await install();
    expect(status).not.toBe(0);
    expect(existsSync(join(directory, "outside.h"))).toBe(false);
    expect(existsSync(join(cache, "outside.h"))).toBe(false);
    expect(readdirSync(join(cache, "tensorflow")).every((entry) => entry.endsWith(".partial"))).toBe(true);
  });
});

describe("what is missing is said in one line", () => {
  test.each<[string, (bin: string) => void, RegExp]>([
    [
      "no compiler",
      (bin) => rmSync(join(bin, "g++")),
      /^funmatch: g\+\+ was not found.*apt-get install g\+\+/,
    ],
    ["no Python", (bin) => rmSync(join(bin, "python3")), /^funmatch: python3 was not found.*apt-get install/],
    [
      "Python without pip",
      (bin) => script(join(bin, "python3"), "[ $1 = --version ]"),
      /^funmatch: python3 has no pip.*python3-pip/,
    ],
    [
      "no way to the package index",
      (bin) =>
        script(
          join(bin, "python3"),
          '[ "$4" = "" ] || { echo "ERROR: No matching distribution found" >&2; exit 1; }',
        ),
      /pip could not download tensorflow.*No matching distribution found.*Check that/,
    ],
    [
      "a compiler that fails",
      (bin) =>
        script(join(bin, "g++"), '[ "$*" = --version ] || { echo "x.cc:1: error: C++17" >&2; exit 1; }'),
      /g\+\+ could not compile.*x\.cc:1: error/,
    ],
    [
      "a system on which the result does not load",
      (bin) =>
        script(
          join(bin, "g++"),
          '[ "$*" = --version ] && exit; while [ $# -gt 0 ]; do [ $1 = -o ] && o=$2; shift; done; echo no > $o',
        ),
      /was compiled but does not load on this system/,
    ],
  ])("%s", async (_what, spoil, message) => {
    spoil(tools.bin);
    const { status, stderr } = await install();
    expect(status).toBe(2);
    const lines = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("engine: "));
    expect(lines).toEqual([expect.stringMatching(message)]);
  });

  test("a cache that cannot be written", async () => {
    cache = "/dev/null/cache";
    const { status, stderr } = await install();
    expect(status).toBe(2);
    expect(stderr).toMatch(/^funmatch: the cache .* cannot be written \(ENOTDIR\): set FUNMATCH_CACHE/);
  });

  test("a disk that is too full", async () => {
    const place = enginePlace("cpu");
    await expect(requireSpace(place, async () => 800)).rejects.toThrow(
      /^the engine needs \d{4} MB in .* and 800 MB are free: make room there, or set FUNMATCH_CACHE/,
    );
    await expect(requireSpace(place, async () => 3000)).resolves.toBeUndefined();
  });
});

describe("the installed engine", () => {
  test("loads without a word on stderr, and tells what it is", async () => {
    const { status, stdout, stderr } = await funmatch(["engine", "info"], process.env);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^tensorflow +2\.21\.0 \(cpu build\)$/m);
    expect(stdout).toMatch(/^device +CPU$/m);
    expect(stdout).toMatch(/^cache +\//m);
  });

  test("TF_CPP_MIN_LOG_LEVEL=0 shows what TensorFlow writes", async () => {
    const { stderr } = await funmatch(["engine", "info"], { ...process.env, TF_CPP_MIN_LOG_LEVEL: "0" });
    expect(stderr).toContain("oneDNN");
  });

  test("says how to install it where it is not", async () => {
    const { status, stderr } = await funmatch(["engine", "info"], { ...process.env, FUNMATCH_CACHE: cache });
    expect(status).toBe(2);
    expect(stderr).toBe(
      `funmatch: the engine is not installed in ${cache}: run \`npx funmatch engine install\`\n`,
    );
  });
});

/** What g++ is called for. */
const MODULES = ["quiet_load", "kernel_library", "tfjs_binding", "pictures"].map(
  (name) => `compile ${name}.node`,
);
const KERNELS = libraries().map((name) => `compile ${name}`);

/** The libraries of our own operations. */
function libraries(): string[] {
  const folder = join(import.meta.dirname, "..", "..", "shared", "engine", "kernels");
  return readdirSync(folder)
    .filter((file) => file.endsWith(".cc"))
    .map((file) => file.replace(".cc", ".so"))
    .sort();
}

interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

function install(...options: string[]): Promise<Ended> {
  return funmatch(["engine", "install", ...options], {
    ...process.env,
    FUNMATCH_CACHE: cache,
    PATH: tools.bin,
  });
}

function funmatch(args: string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  const cli = join(import.meta.dirname, "..", "..", "student-trainer", "cli.ts");
  return new Promise((done) => {
    execFile(process.execPath, [cli, ...args], { env }, (error, stdout, stderr) => {
      done({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** In their order, but that fused operations are compiled at once and end in any. */
function calls(): string[] {
  const lines = readFileSync(tools.calls, "utf8").split("\n").filter(Boolean);
  const fused = lines.filter((line) => KERNELS.includes(line)).sort();
  return lines.map((line) => (KERNELS.includes(line) ? (fused.shift() as string) : line));
}

/** Files below the one directory that `kind` holds. */
function files(kind: "tensorflow" | "engine" | "kernels"): string[] {
  const [only] = readdirSync(join(cache, kind));
  const folder = join(cache, kind, only as string);
  return (readdirSync(folder, { recursive: true }) as string[])
    .filter((path) => /\.[^/]*$/.test(path))
    .sort();
}
