import { openEnvironment } from "../environment.ts";

/** PyPI has no jemalloc by itself; this package brings one that is meant to be preloaded. */
const PACKAGES = ["ray==2.60.0"];

/** The path of a jemalloc that a process can be started with; installed the first time. */
export async function openJemalloc(): Promise<string> {
  const scripts = import.meta.dirname;
  const environment = await openEnvironment({
    name: "jemalloc",
    packages: PACKAGES,
    scripts,
    size: "0.2 GB",
  });
  const { stdout } = environment.start("jemalloc.py", []);
  let path = "";
  for await (const text of stdout!) path += text;
  return path.trim();
}
