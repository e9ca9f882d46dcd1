import type { Pass } from "../queue/batch.ts";
import type { Network } from "./network.ts";

/**
 * A network that computes a pass a few images at a time, one part after the other, so that what a layer writes is
 * still in the caches when the next one reads it. Parts that only fill the batch are not computed, their logits are 0.
 * A network that takes certain batch sizes only stays as it is.
 *
 * @param images in a part at most
 */
export function inParts({ facts, compute }: Network, images: number): Network {
  if (facts.batchSizes) return { facts, compute };
  return {
    facts,
    async compute(pass) {
      if (pass.size <= images) return compute(pass);
      const logits = new Float32Array(pass.size * facts.classes);
      let row = 0;
      for (const part of partsOf(pass, images)) {
        if (part.slices.length > 0) logits.set(await compute(part), row * facts.classes);
        row += part.size;
      }
      return logits;
    },
  };
}

/**
 * Cuts a pass between images, in order.
 *
 * @param images in a part; the last one has what is left
 * @example partsOf({ size: 20, slices }, 8).map(({ size }) => size) // [8, 8, 4]
 */
export function partsOf({ size, slices }: Pass, images: number): Pass[] {
  return Array.from({ length: Math.ceil(size / images) }, (_, i) => {
    const begin = i * images;
    const end = Math.min(size, begin + images);
    let first = 0;
    const own = slices.flatMap((slice) => {
      const from = Math.max(begin, first);
      const to = Math.min(end, first + slice.count);
      const start = slice.from + from - first;
      first += slice.count;
      return from < to ? [{ images: slice.images, from: start, count: to - from }] : [];
    });
    return { size: end - begin, slices: own };
  });
}
