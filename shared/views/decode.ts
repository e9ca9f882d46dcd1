import { availableParallelism } from "node:os";
import sharp from "sharp";
import type { Image } from "./image.ts";

// One thread a picture: parallelism comes from decoding several pictures at once. No picture is decoded twice in a
// row, so libvips' cache of operations would only hold memory.
sharp.concurrency(1);
sharp.cache(false);

// Pictures are decoded on libuv's threads, which all threads of the program share: four, unless this is set before
// they are first used. On a larger machine four would bound the decoding of all view threads together.
process.env.UV_THREADPOOL_SIZE ??= String(Math.max(4, availableParallelism()));

/** Larger pictures are refused from their header, before memory is taken for their pixels. */
export const MAX_PIXELS = 100_000_000;

/** Bytes that are no readable picture. The message says why and is written for the owner of the file. */
export class DecodeError extends Error {
  override name = "DecodeError";
}

/** JPEG, PNG or WebP, by the first bytes; other formats that libvips might open (SVG, PDF…) stay out. */
function isSupported(b: Uint8Array): boolean {
  const jpeg = b[0] === 0xff && b[1] === 0xd8 && b[2] === 0xff;
  const png = b[0] === 0x89 && b[1] === 0x50 && b[2] === 0x4e && b[3] === 0x47;
  const riff = b[0] === 0x52 && b[1] === 0x49 && b[2] === 0x46 && b[3] === 0x46;
  const webp = riff && b[8] === 0x57 && b[9] === 0x45 && b[10] === 0x42 && b[11] === 0x50;
  return jpeg || png || webp;
}

/**
 * Decodes a JPEG, PNG or WebP file to RGB uint8, upright (EXIF orientation applied) and at full size.
 * Grayscale and CMYK become RGB, 16-bit channels become 8-bit, an alpha channel is dropped and colour profiles are
 * ignored, as the paper's decoder does. Of an animation the first frame is taken.
 *
 * @throws DecodeError for other formats, damaged or truncated files and pictures over {@link MAX_PIXELS}.
 */
export async function decode(bytes: Uint8Array): Promise<Image> {
  if (!isSupported(bytes)) {
    throw new DecodeError(bytes.length === 0 ? "the file is empty" : "not a JPEG, PNG or WebP picture");
  }
  try {
    const { data, info } = await sharp(bytes, {
      failOn: "error",
      limitInputPixels: MAX_PIXELS,
      ignoreIcc: true,
    })
      .autoOrient()
      .removeAlpha()
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new DecodeError(`decoded to ${info.channels} channels instead of 3`);
    return { width: info.width, height: info.height, data };
  } catch (error) {
    if (error instanceof DecodeError) throw error;
    const why = error instanceof Error ? inOneLine(error.message) : String(error);
    throw new DecodeError(why === "Unknown error" ? "damaged or cut off" : why); // seen where several pictures are decoded at once
  }
}

/** libvips tells of one damage in several lines, some of them more than once. */
function inOneLine(message: string): string {
  return [...new Set(message.trim().split(/\s*\n\s*/))].join("; ");
}
