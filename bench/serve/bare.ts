/** The forward pass without a service: the same network, engine, threads and batch in a loop, in a process of its own. */

import type { NetworkConfig } from "../../teacher-service/config/model-config.ts";
import { openNetwork } from "../../teacher-service/formats/open.ts";

/** The first message says what to load, each later one how long to compute. */
export type BareOrder =
  | { load: NetworkConfig; threads: number; shape: [number, number, number, number]; pixels: string }
  | { seconds: number };

/** Answers a {@link BareOrder}; after loading all are 0. */
export interface BareAnswer {
  images: number;
  seconds: number;
  cpuSeconds: number;
}

let computeOnce: () => Promise<number>;

process.on("message", async (order: BareOrder) => {
  if ("load" in order) {
    const network = await openNetwork(order.load, order.threads);
    const images = { dtype: "uint8", shape: order.shape, data: Buffer.from(order.pixels, "base64") } as const;
    const [size] = order.shape;
    computeOnce = async () => {
      await network.compute({ size, slices: [{ images, from: 0, count: size }] });
      return size;
    };
    for (let pass = 0; pass < 3; pass++) await computeOnce();
    process.send?.({ images: 0, seconds: 0, cpuSeconds: 0 } satisfies BareAnswer);
    return;
  }
  const cpu = process.cpuUsage();
  const began = performance.now();
  let images = 0;
  let seconds = 0;
  while (seconds < order.seconds) {
    images += await computeOnce();
    seconds = (performance.now() - began) / 1000;
  }
  const { user, system } = process.cpuUsage(cpu);
  process.send?.({ images, seconds, cpuSeconds: (user + system) / 1e6 } satisfies BareAnswer);
});
