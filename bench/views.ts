import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { indexFashion } from "../student-trainer/data/fashion.ts";
import { type Benchmark, type Row, writeResults } from "./benchmark.ts";
import { openEnvironment } from "./environment.ts";
import { openPeers } from "./peers.ts";
import { compareWith, drawBoxes, ourViews } from "./views/agreement.ts";
import { measureRow, type Plan } from "./views/rows.ts";
import { type Side, type SideData, startSides } from "./views/sides.ts";

const PHOTOGRAPHS = new URL("../../shared/data/clothing", import.meta.url).pathname;
/** What a tiny run compares with. */
const LIGHT = ["pillow==13.0.0", "numpy==2.2.6"];

const WHOLE: Plan = {
  split: "train",
  rows: [
    { pictures: "photographs", side: 64 },
    { pictures: "photographs", side: 160 },
    { pictures: "photographs", side: 224 },
    { pictures: "decoded", side: 64 },
  ],
  trial: { warmUpSeconds: 0.2, seconds: 0.5 },
  turn: { warmUpSeconds: 0.2, seconds: 1.1 },
  rounds: 4,
  batch: 64,
  compared: 200,
};
const brief = { warmUpSeconds: 0, seconds: 0.1 };
const TINY: Plan = {
  split: "test",
  rows: [
    { pictures: "photographs", side: 32 },
    { pictures: "decoded", side: 28 },
  ],
  trial: brief,
  turn: brief,
  rounds: 1,
  batch: 16,
  compared: 4,
};

export const views: Benchmark = {
  name: "views",
  what: "batches of training views on one core: JPEG decoding, inception crop, resize, flip, mixup, SHA-256",
  needs: "the first time it installs 8 GB of Python packages (torch, TensorFlow, JAX) into the user's cache",
  async run({ tiny }) {
    const plan = tiny ? TINY : WHOLE;
    const scripts = join(import.meta.dirname, "views");
    const environment = tiny
      ? await openEnvironment({ name: "pillow", packages: LIGHT, scripts })
      : await openPeers("views");
    const folder = mkdtempSync(join(tmpdir(), "funmatch-bench-views-"));
    const data = await sideData(folder, plan);
    const sides = await startSides(environment, data, { tiny, core: availableParallelism() - 1 });
    const rows: Row[] = [];
    try {
      for (const each of plan.rows) {
        if (each.pictures === "photographs" && data.paths.length === 0) continue;
        const row = await measureRow(plan, each, sides);
        if (each.pictures === "photographs")
          Object.assign(row.details, await agreements(sides, data, each.side, plan.compared, folder));
        rows.push(row);
        // After each row: whoever ends it early has what there is.
        if (!tiny) writeResults(views.name, { node: process.versions.node, ...environment.versions }, rows);
      }
    } finally {
      for (const side of sides) side.stop();
      rmSync(folder, { recursive: true });
    }
    return rows;
  },
};

/** Writes the bundled pictures where every side can read them, and lists the photographs, if they are here. */
async function sideData(folder: string, { split }: Plan): Promise<SideData> {
  const { pixels, height, width } = await indexFashion({ fashion: "train" });
  const gray = join(folder, "gray");
  writeFileSync(
    gray,
    Buffer.concat([
      Buffer.from(Int32Array.of(pixels.length / (height * width), height, width).buffer),
      pixels,
    ]),
  );
  const train = join(PHOTOGRAPHS, split);
  if (!existsSync(train)) {
    console.log("  without photographs: ../shared/data/clothing is not here");
    return { train, paths: [], gray };
  }
  const files = readdirSync(train, { recursive: true, encoding: "utf8" });
  const paths = files.filter((file) => file.endsWith(".jpg")).map((file) => join(train, file));
  return { train, paths: paths.sort(), gray };
}

/** In words: how near the peers' crops and resizes of the same boxes are to ours. */
async function agreements(
  sides: Side[],
  { paths }: SideData,
  side: number,
  count: number,
  folder: string,
): Promise<Row["details"]> {
  const chosen = Array.from(
    { length: count },
    (_, i) => paths[Math.floor((i * paths.length) / count)] as string,
  );
  const boxed = await drawBoxes(chosen);
  const ours = await ourViews(boxed, side);
  const details: Row["details"] = {};
  for (const peer of sides.filter(({ name }) => !name.startsWith("ours"))) {
    const { equal, withinOne, largest } = await compareWith(peer, boxed, side, ours, folder);
    const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
    details[`${peer.name}: same boxes of ${count} photographs`] =
      `${percent(equal)} of the values equal to ours, ${percent(withinOne)} within one level, at most ${largest} levels off`;
  }
  return details;
}
