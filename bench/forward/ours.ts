/**
 * Ours in `bench/forward`, in a process of its own: a pass as the model's thread of the teacher service computes it,
 * from the bytes of one request to logits.
 */
import { readFileSync } from "node:fs";
import type { NetworkConfig } from "../../teacher-service/config/model-config.ts";
import { openNetwork } from "../../teacher-service/formats/open.ts";
import { pageAligned } from "../../teacher-service/request/page-aligned.ts";
import type { TurnAnswer, TurnOrder } from "./side.ts";

/** The first message; it is answered with an empty {@link TurnAnswer}. */
export interface LoadOrder {
  load: NetworkConfig;
  threads: number;
  /** File of the images, uint8. */
  pixels: string;
}

let pass: (images: number) => Promise<Float32Array>;

process.on("message", async (order: LoadOrder | TurnOrder) => {
  if ("load" in order) {
    pass = await load(order);
    process.send?.({ milliseconds: [], logits: "" } satisfies TurnAnswer);
  } else {
    process.send?.(await turn(order));
  }
});

async function load({ load: config, threads, pixels }: LoadOrder): Promise<typeof pass> {
  const network = await openNetwork(config, threads);
  const side = config.resolution;
  const file = readFileSync(pixels);
  // Where the service reads a request's bytes to.
  const data = pageAligned(file.length);
  data.set(file);
  return async (count) => {
    const images = {
      dtype: "uint8",
      shape: [count, side, side, 3],
      data: data.subarray(0, count * side * side * 3),
    } as const;
    return network.compute({ size: count, slices: [{ images, from: 0, count }] });
  };
}

async function turn({ images, seconds }: TurnOrder): Promise<TurnAnswer> {
  // As side.py does: two passes that are not timed.
  const logits = await pass(images);
  await pass(images);
  const milliseconds: number[] = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end || milliseconds.length < 2) {
    const began = performance.now();
    await pass(images);
    milliseconds.push(performance.now() - began);
  }
  const bytes = Buffer.from(logits.buffer, logits.byteOffset, logits.byteLength);
  return { milliseconds, logits: bytes.toString("base64") };
}
