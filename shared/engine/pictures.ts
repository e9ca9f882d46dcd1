import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { installedEngine } from "./install/installed.ts";

/** What makes views of pictures fast (native/pictures.cc). Pixels are RGB, uint8; all of it is done in this thread. */
export interface Pictures {
  /**
   * Decodes a box of a JPEG file's picture into the beginning of `out`, which holds height * width * 3 bytes at least.
   * The outermost two columns may differ in their last bits from those of the whole picture, unless they are its own.
   *
   * @returns false if the decoder has anything to say against the file
   */
  decode(jpeg: Uint8Array, y: number, x: number, height: number, width: number, out: Uint8Array): boolean;
  /** Resizes a box of a picture, flipped left-right if `flip` is 1, to `out` from `offset` on. */
  resize(
    picture: Uint8Array,
    pictureWidth: number,
    y: number,
    x: number,
    height: number,
    width: number,
    outHeight: number,
    outWidth: number,
    flip: 0 | 1,
    out: Uint8Array,
    offset: number,
  ): void;
  /** `share` of `own` and the rest of `other`, all as long as `out`, rounded half to even. */
  mix(own: Uint8Array, other: Uint8Array, share: number, out: Uint8Array): void;
}

const require = createRequire(import.meta.url);

/**
 * Loads them into this thread, or says by undefined that the engine is not installed or came without them. With
 * `FUNMATCH_KERNELS=plain` they are left out, as our own operations are.
 */
export function loadPictures(env: NodeJS.ProcessEnv = process.env): Pictures | undefined {
  if (env.FUNMATCH_KERNELS === "plain") return undefined;
  const place = installedEngine();
  if (place === undefined) return undefined;
  const path = join(place.engine, place.pictures.file);
  if (!existsSync(path)) return undefined;
  require(join(place.engine, place.modules[0]!.file)); // loads TensorFlow without its line on stderr
  return require(path) as Pictures;
}
