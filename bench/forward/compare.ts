import { median, type Row, ratioOfTimes } from "../benchmark.ts";
import type { Environment } from "../environment.ts";
import type { ForwardNetwork, NetworkName } from "./networks.ts";
import { type Side, startOurs, startPeer, type TurnAnswer } from "./side.ts";

/** What is computed, and with what it is compared. */
export interface Plan {
  network: NetworkName;
  batches: number[];
  /** Of the peers, as side.py understands them. */
  configurations: string[];
  /** Batch sizes at which all configurations are tried. */
  trial: number[];
  /** Of a side's turn. */
  seconds: number;
  rounds: number;
}

interface Place {
  environment: Environment;
  threads: number;
}

/** What a configuration took when all were tried: median ms by batch size. */
type Tried = Map<string, Map<number, number>>;

/** Largest difference between two sides' logits, as a share of the largest logit. */
const MOST_DIFFERENCE = 1e-3;

/**
 * One network: the quickest configurations of each peer, then those and ours turn about, for each batch size.
 *
 * @throws Error when a side's logits are others than ours
 */
export async function compare(plan: Plan, network: ForwardNetwork, place: Place): Promise<Row[]> {
  const tried = await trial(plan, network, place);
  const sides = [await startOurs(network, place.threads)];
  try {
    for (const configuration of best(tried, plan.trial)) sides.push(startPeer(configuration, network, place));
    const rows: Row[] = [];
    for (const images of plan.batches) {
      const answers = new Map<Side, TurnAnswer[]>(sides.map((side) => [side, []]));
      // Turn about, so that whatever else the machine does falls on all.
      for (let round = 0; round < plan.rounds; round++)
        for (const side of sides) answers.get(side)!.push(await side.turn({ images, seconds: plan.seconds }));
      rows.push(rowOf(plan, images, answers, tried));
    }
    return rows;
  } finally {
    for (const side of sides) side.stop();
  }
}

async function trial(
  { configurations, trial, seconds }: Plan,
  network: ForwardNetwork,
  place: Place,
): Promise<Tried> {
  const tried: Tried = new Map();
  for (const configuration of configurations) {
    const side = startPeer(configuration, network, place);
    try {
      const found = new Map<number, number>();
      for (const images of trial)
        found.set(images, median((await side.turn({ images, seconds })).milliseconds));
      tried.set(configuration, found);
      const words = [...found].map(([images, ms]) => `${ms.toFixed(1)} ms for ${images}`);
      console.log(`  ${network.name}: ${configuration}: ${words.join(", ")}`);
    } finally {
      side.stop();
    }
  }
  return tried;
}

/** Of each peer the quickest at each of the sizes. */
function best(tried: Tried, sizes: number[]): Set<string> {
  const chosen = new Set<string>();
  for (const peer of new Set([...tried.keys()].map(peerOf)))
    for (const size of sizes) {
      const own = [...tried].filter(([configuration]) => peerOf(configuration) === peer);
      const [configuration] = own.reduce((a, b) => (b[1].get(size)! < a[1].get(size)! ? b : a));
      chosen.add(configuration);
    }
  return chosen;
}

/** The first word of a configuration. */
function peerOf(configuration: string): string {
  return configuration.split(" ")[0]!;
}

function rowOf(plan: Plan, images: number, answers: Map<Side, TurnAnswer[]>, tried: Tried): Row {
  const times = (side: Side) => answers.get(side)!.flatMap(({ milliseconds }) => milliseconds);
  const [ours, ...peers] = [...answers.keys()] as [Side, ...Side[]];
  const medians = Object.fromEntries(peers.map((peer) => [peer.name, median(times(peer))]));
  const milliseconds = median(times(ours));
  const details: Row["details"] = { "ours, images/s": (images / milliseconds) * 1000 };
  for (const side of answers.keys())
    details[`${side.name}: passes timed, fastest to slowest`] =
      `${times(side).length}, ${Math.min(...times(side)).toFixed(2)} to ${Math.max(...times(side)).toFixed(2)} ms`;
  for (const peer of peers) {
    const difference = differenceOf(answers.get(ours)![0]!, answers.get(peer)![0]!);
    if (!(difference <= MOST_DIFFERENCE))
      throw new Error(`${peer.name}: its logits of ${plan.network} differ by ${difference} of the largest`);
    details[`${peer.name}: largest difference of a logit, as a share of the largest logit`] = difference;
  }
  for (const [configuration, found] of tried)
    if (found.has(images)) details[`tried, ms: ${configuration}`] = found.get(images)!;
  return {
    name: `${plan.network}, batch ${images}`,
    dtype: "float32",
    unit: "ms",
    ours: milliseconds,
    peers: medians,
    ratio: ratioOfTimes(milliseconds, medians),
    details,
  };
}

function differenceOf(ours: TurnAnswer, theirs: TurnAnswer): number {
  const [a, b] = [ours, theirs].map(({ logits }) => {
    const bytes = Buffer.from(logits, "base64");
    return new Float32Array(new Uint8Array(bytes).buffer);
  }) as [Float32Array, Float32Array];
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  const largest = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0) / largest;
}
