import { median, quantile, type Row, ratioOfRates } from "../benchmark.ts";
import type { Measured } from "./measure.ts";
import type { ServedNetwork } from "./networks.ts";
import type { Setup } from "./sides.ts";

/** What a setup gave when all were tried. */
export interface Tried {
  setup: Setup;
  clients: number;
  imagesPerSecond: number;
}

/** The row of one network under one load. */
export function rowOf(
  network: ServedNetwork,
  clients: number,
  setups: Setup[],
  found: ReadonlyMap<Setup | "bare", Measured[]>,
  tried: Tried[],
): Row {
  const rate = (side: Setup | "bare") =>
    median(found.get(side)!.map(({ imagesPerSecond }) => imagesPerSecond));
  const ours = setups.find(({ side }) => side === "ours")!;
  const peers = Object.fromEntries(
    setups.filter((setup) => setup !== ours).map((setup) => [setup.side, rate(setup)]),
  );
  const details: Row["details"] = {
    "bare forward pass, images/s": rate("bare"),
    "bare forward pass, CPU seconds for 1,000 images": median(
      found.get("bare")!.map((each) => each.cpuSeconds),
    ),
    "ours, share of the bare forward pass": rate(ours) / rate("bare"),
  };
  const delays = found.get(ours)!.flatMap(({ eventLoopDelayMs }) => eventLoopDelayMs ?? []);
  if (delays.length > 0)
    details["ours, event-loop delay p99 in ms, of which 10 are the sampling's own"] = Math.max(...delays);
  for (const setup of setups) {
    const rounds = found.get(setup)!;
    const latencies = rounds.flatMap((each) => each.latencies).sort((a, b) => a - b);
    const { side } = setup;
    details[`${side}: setup`] = inWords(setup);
    details[`${side}: images/s in each round`] = rounds
      .map(({ imagesPerSecond }) => imagesPerSecond.toFixed(1))
      .join(", ");
    details[`${side}: requests timed`] = latencies.length;
    details[`${side}: p50, ms`] = quantile(latencies, 0.5);
    details[`${side}: p99, ms`] = quantile(latencies, 0.99);
    details[`${side}: CPU seconds for 1,000 images`] = median(rounds.map(({ cpuSeconds }) => cpuSeconds));
    details[`${side}: the clients' CPU seconds for 1,000 images`] = median(
      rounds.map(({ clientCpuSeconds }) => clientCpuSeconds),
    );
  }
  for (const each of tried)
    details[`tried with ${each.clients} clients, images/s: ${each.setup.side}, ${inWords(each.setup)}`] =
      each.imagesPerSecond;
  return {
    name: `${network.name}, ${clients} ${clients === 1 ? "client" : "clients"}`,
    dtype: "float32",
    unit: "images/s",
    ours: rate(ours),
    peers,
    ratio: ratioOfRates(rate(ours), peers),
    details,
  };
}

function inWords({ engine, merged, protocol }: Setup): string {
  return `${engine}, ${merged} request${merged === 1 ? "" : "s"} a pass at most, ${protocol}`;
}
