import type { ForeignConfig } from "../config/model-config.ts";
import type { Pass } from "../queue/batch.ts";
import { elements, isOfSize } from "./gather.ts";
import { type ResizeRule, resizeTo } from "./resize.ts";

const CHANNELS = 3;

/** How requests' images, RGB in pixel units, become what a network takes. */
export interface Preprocessing {
  readonly resolution: number;
  readonly resize: ResizeRule;
  readonly layout: "nhwc" | "nchw";
  /** For each channel in the network's order: the request's channel, and value = pixel · scale + shift. */
  readonly channels: readonly { from: number; scale: number; shift: number }[];
}

/** The preprocessing that a config asks for; `layout` is the network's own where the config names none. */
export function preprocessingOf(config: ForeignConfig, layout: "nhwc" | "nchw"): Preprocessing {
  const { resolution, resize, valueRange, mean, std, channelOrder } = config;
  const channels = [0, 1, 2].map((channel) => {
    const from = channelOrder === "bgr" ? 2 - channel : channel;
    if (valueRange) return { from, scale: (valueRange[1] - valueRange[0]) / 255, shift: valueRange[0] };
    const spread = std![channel]!;
    return { from, scale: 1 / (255 * spread), shift: -mean![channel]! / spread };
  });
  return { resolution, resize, layout, channels };
}

/**
 * Makes a function that lays a pass's images out as a network takes them: resized where they have another size,
 * scaled, in its channel order; rows that only fill the batch are zero. A pixel's value does not depend on how it was
 * written: uint8 and float32 give the same bits.
 *
 * @returns gives [size,R,R,3] or [size,3,R,R], in memory that its next call writes to again: fresh memory, zeroed and
 *   faulted in page by page, would cost more than the pixels do
 */
export function layOuter(how: Preprocessing): (pass: Pass) => Float32Array {
  const { resolution } = how;
  const length = resolution * resolution * CHANNELS;
  const resized = new Float32Array(length);
  const tables = how.channels.map(({ scale, shift }) =>
    Float32Array.from({ length: 256 }, (_, pixel) => pixel * scale + shift),
  );
  let memory = new Float32Array(0);
  return ({ size, slices }) => {
    if (memory.length < size * length) memory = new Float32Array(size * length);
    const batch = memory.subarray(0, size * length);
    let at = 0;
    for (const { images, from, count } of slices) {
      const values = elements(images, from, count);
      const [, height, width] = images.shape;
      const fits = isOfSize(images, resolution);
      for (let i = 0; i < count; i++, at += length) {
        const own = values.subarray(i * height * width * CHANNELS, (i + 1) * height * width * CHANNELS);
        if (!fits) resizeTo(how.resize, own, [height, width, CHANNELS], resolution, resized, 0);
        write(fits ? own : resized, batch, at, how, tables);
      }
    }
    return batch.fill(0, at);
  };
}

function write(
  pixels: Float32Array | Uint8Array,
  batch: Float32Array,
  at: number,
  { layout, channels }: Preprocessing,
  tables: readonly Float32Array[],
): void {
  const places = pixels.length / CHANNELS;
  channels.forEach(({ from, scale, shift }, channel) => {
    const step = layout === "nhwc" ? CHANNELS : 1;
    let to = at + (layout === "nhwc" ? channel : channel * places);
    if (pixels instanceof Uint8Array) {
      const table = tables[channel]!;
      for (let i = from; i < pixels.length; i += CHANNELS, to += step) batch[to] = table[pixels[i]!]!;
    } else {
      for (let i = from; i < pixels.length; i += CHANNELS, to += step) batch[to] = pixels[i]! * scale + shift;
    }
  });
}
