import { median, type Row, ratioOfRates } from "../benchmark.ts";
import type { MeasureOrder, Side, Speed } from "./sides.ts";

/** What is made, and for how long. */
export interface Plan {
  /** Folder of photographs below the data. */
  split: string;
  rows: Pick<MeasureOrder, "pictures" | "side">[];
  /** Of each configuration, to find every side's best. */
  trial: Pick<MeasureOrder, "warmUpSeconds" | "seconds">;
  /** Of each side in each round. */
  turn: Pick<MeasureOrder, "warmUpSeconds" | "seconds">;
  rounds: number;
  batch: number;
  /** Photographs on which the sides are compared. */
  compared: number;
}

/** A side in the configuration that was its fastest. */
interface Best {
  side: Side;
  configuration: string;
  speeds: Speed[];
}

const rate = ({ images, seconds }: Speed) => images / seconds;

/** One row: each side's best configuration, then all sides turn about. The first of them is ours. */
export async function measureRow(
  plan: Plan,
  row: Pick<MeasureOrder, "pictures" | "side">,
  sides: Side[],
): Promise<Row> {
  const order = { ...row, batch: plan.batch };
  const details: Row["details"] = {};
  const best: Best[] = [];
  for (const side of sides) {
    const tried = new Map<string, number>();
    for (const configuration of side.configurations) {
      const speed = await side.ask<Speed>({ ...order, ...plan.trial, configuration });
      tried.set(configuration, rate(speed));
      if (side.configurations.length > 1)
        details[`tried, images/s: ${side.name}, ${configuration}`] = rate(speed);
    }
    const [[configuration]] = [...tried].sort((a, b) => b[1] - a[1]) as [[string, number]];
    best.push({ side, configuration, speeds: [] });
  }
  for (let round = 0; round < plan.rounds; round++)
    for (const { side, configuration, speeds } of best)
      speeds.push(await side.ask<Speed>({ ...order, ...plan.turn, configuration }));
  const rates = best.map(({ side, speeds }) => [side.name, median(speeds.map(rate))] as const);
  const [[, ours], ...others] = rates as [(typeof rates)[number], ...typeof rates];
  const peers = Object.fromEntries(others.filter(([name]) => !name.startsWith("ours")));
  for (const each of best) Object.assign(details, wordsOn(each));
  const pictures = row.pictures === "photographs" ? "JPEG photographs" : "decoded 28x28 pictures";
  return {
    name: `${pictures} to ${row.side} px`,
    dtype: "uint8",
    unit: "images/s",
    ours,
    peers,
    ratio: ratioOfRates(ours, peers),
    details,
  };
}

function wordsOn({ side: { name }, configuration, speeds }: Best): Row["details"] {
  const first = speeds[0]?.firstEpochImagesPerSecond;
  return {
    [`${name}: configuration`]: configuration,
    [`${name}: images/s in each round`]: speeds.map((speed) => rate(speed).toFixed(0)).join(", "),
    [`${name}: share of the core's time`]: median(speeds.map((each) => each.cpuSeconds / each.seconds)),
    ...(first !== undefined && { [`${name}: images/s in its first epoch, once`]: first }),
  };
}
