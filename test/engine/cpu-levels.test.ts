import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { enginePlace, type KernelPlace } from "../../shared/engine/cache.ts";
import { cpuLevels, hasLevel } from "../../shared/engine/cpu-levels.ts";
import { writeStamp } from "../../shared/engine/install/stamp.ts";
import { libraryOf, loadKernels } from "../../shared/engine/kernel-library.ts";

const linux = process.platform === "linux" && process.arch === "x64";

test.runIf(linux)("this CPU has the levels that the C library finds in it", () => {
  const { stdout } = spawnSync("/lib64/ld-linux-x86-64.so.2", ["--help"], { encoding: "utf8" });
  const supported = [...stdout.matchAll(/^ {2}(x86-64-v\d) \(supported/gm)].map((match) => match[1]);
  expect(supported.length).toBeGreaterThan(0);
  const ours = cpuLevels().filter((level) => hasLevel(level));
  expect(ours.map((level) => level.name)).toEqual(supported.filter((name) => name !== "x86-64-v2"));
});

describe.runIf(linux)("which of the compiled operations a process takes", () => {
  const V4 = cpuLevels()[0]!.needs;
  const V3 = V4.filter((flag) => !flag.startsWith("avx512"));
  let cache: string;
  const before = process.env.FUNMATCH_CACHE;
  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), "funmatch-levels-"));
    process.env.FUNMATCH_CACHE = cache;
  });
  afterEach(() => {
    if (before === undefined) delete process.env.FUNMATCH_CACHE;
    else process.env.FUNMATCH_CACHE = before;
    rmSync(cache, { recursive: true });
  });

  test("those of another machine's very CPU never, those of the best level that it has", () => {
    const built = enginePlace("cpu", [...V4, "amx_tile"]);
    for (const place of [built.kernels!, ...built.portable]) pretendCompiled(place);
    expect(taken([...V4, "amx_tile"])).toBe("native");
    expect(taken(V4)).toBe("x86-64-v4");
    expect(taken([...V3, "avx_vnni"])).toBe("x86-64-v3");
    expect(taken(V3.filter((flag) => flag !== "fma"))).toBe(
      "not compiled for this CPU, only for x86-64-v4 and x86-64-v3",
    );
  });

  test("none where none was made", () => {
    expect(taken(V4)).toBe("not compiled for this CPU; run `npx funmatch engine install`");
  });

  /** Loads by a library that only notes the paths; answers for which CPU they are, or why there are none. */
  function taken(flags: string[]): string {
    const place = enginePlace("cpu", flags);
    const paths: string[] = [];
    const { missing, level } = loadKernels(place, { load: (path) => paths.push(path) }, {});
    if (missing !== undefined) return missing;
    const found = [place.kernels!, ...place.portable].find((one) => paths[0]?.startsWith(one.directory));
    expect(paths).toHaveLength(place.kernels!.sources.length);
    expect(level ?? "native").toBe(found?.cpu);
    return found!.cpu;
  }
});

function pretendCompiled({ directory, key, sources }: KernelPlace): void {
  mkdirSync(directory, { recursive: true });
  const files = sources.map(libraryOf);
  for (const file of files) writeFileSync(join(directory, file), "x");
  writeStamp(directory, [key], files);
}
