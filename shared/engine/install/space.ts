import { statfs } from "node:fs/promises";
import type { EnginePlace } from "../cache.ts";
import { EngineError } from "../engine-error.ts";

/** Throws, in one line, if the cache's disk cannot hold the engine and what making it takes. */
export async function requireSpace(
  place: EnginePlace,
  free: (path: string) => Promise<number> = freeMegabytes,
) {
  const kept = place.wheels.reduce((sum, wheel) => sum + wheel.unpackedMb, 0);
  // pip writes a wheel to its temporary directory and copies it; one wheel is on disk at a time
  const needed = kept + 2 * Math.max(...place.wheels.map((wheel) => wheel.downloadMb)) + 50;
  const there = await free(place.cache);
  if (there >= needed) return;
  throw new EngineError(
    `the engine needs ${Math.ceil(needed)} MB in ${place.cache} and ${Math.floor(there)} MB are free: ` +
      "make room there, or set FUNMATCH_CACHE to a directory on another disk",
  );
}

async function freeMegabytes(path: string): Promise<number> {
  const disk = await statfs(path);
  return (disk.bavail * disk.bsize) / 1e6;
}
