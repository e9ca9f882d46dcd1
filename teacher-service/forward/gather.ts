import type { Images, Pass } from "../queue/batch.ts";
import { pageAligned } from "../request/page-aligned.ts";
import { type ResizeRule, resizeTo } from "./resize.ts";

/**
 * Lays a pass's images one after the other, resized where they have another size, the rest of the batch zero.
 * A pass that is one whole request of the right size is taken as it lies in memory.
 *
 * @returns [size, resolution, resolution, C], pixel units: bytes where all images are bytes of the right size
 */
export function gather(
  pass: Pass,
  { resolution, resize }: { resolution: number; resize: ResizeRule },
): Uint8Array | Float32Array {
  const channels = pass.slices[0]!.images.shape[3];
  const pixels = resolution * resolution * channels;
  const [only, ...others] = pass.slices;
  if (others.length === 0 && only!.count === pass.size && isOfSize(only!.images, resolution))
    return elements(only!.images, only!.from, only!.count);

  const bytes = pass.slices.every(({ images }) => images.dtype === "uint8" && isOfSize(images, resolution));
  const length = pass.size * pixels;
  const batch = bytes ? pageAligned(length) : new Float32Array(pageAligned(4 * length).buffer, 0, length);
  let row = 0;
  for (const { images, from, count } of pass.slices) {
    const values = elements(images, from, count);
    if (batch instanceof Float32Array && !isOfSize(images, resolution)) {
      const [, height, width] = images.shape;
      for (let i = 0; i < count; i++) {
        const image = values.subarray(i * height * width * channels, (i + 1) * height * width * channels);
        resizeTo(resize, image, [height, width, channels], resolution, batch, (row + i) * pixels);
      }
    } else {
      batch.set(values, row * pixels);
    }
    row += count;
  }
  return batch;
}

/** `count` images from `from` on, as numbers; the bytes lie at the start of their buffer, hence aligned. */
export function elements(images: Images, from: number, count: number): Uint8Array | Float32Array {
  const [, height, width, channels] = images.shape;
  const all =
    images.dtype === "uint8"
      ? images.data
      : new Float32Array(images.data.buffer, images.data.byteOffset, images.data.byteLength / 4);
  return all.subarray(from * height * width * channels, (from + count) * height * width * channels);
}

/** Whether images need no resizing. */
export function isOfSize(images: Images, resolution: number): boolean {
  return images.shape[1] === resolution && images.shape[2] === resolution;
}
