import { type ChildProcess, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BitConfig, bitBlocks, writeWeights } from "@funmatch/models";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { SHARED_MS } from "../teacher-service/queue/batch.ts";
import { randomBit } from "../test/teacher-service/tiny-teacher.ts";
import { askChild } from "./ask-child.ts";
import { type Benchmark, median, quantile, type Row, ratioOfTimes, writeResults } from "./benchmark.ts";
import type { ClientAnswer, ClientOrder, Target } from "./fairness-client.ts";

interface Scale {
  network: BitConfig;
  resolution: number;
  batchSizes: number[];
  rounds: number;
  seconds: number;
}

const FULL: Scale = {
  network: { blocks: bitBlocks(26), width: 0.5, classes: 1000 },
  resolution: 64,
  batchSizes: [1, 4, 8, 16, 32, 64, 128],
  rounds: 2,
  seconds: 15,
};
const TINY: Scale = {
  network: { blocks: [1, 1, 1, 1], width: 0.5, classes: 10 },
  resolution: 32,
  batchSizes: [1, 4, 8],
  rounds: 1,
  seconds: 2,
};

const LOAD = 0.2;
const CONNECTIONS = 64;
const FLOOD_IMAGES = 8;

export const fairness: Benchmark = {
  name: "fairness",
  what: "the median latency of a team that asks for a fifth of the capacity, with and without one that floods",
  async run({ tiny }) {
    const scale = tiny ? TINY : FULL;
    const folder = mkdtempSync(join(tmpdir(), "funmatch-fairness-"));
    await writeWeights(join(folder, "teacher.npz"), randomBit(scale.network));
    const clients = [client(), client()] as const;
    const services: TeacherProcess[] = [];
    try {
      const cases = tiny
        ? [{ images: 8, sharedThroughput: 0.8 }]
        : [
            { images: 8, sharedThroughput: 0.8 },
            { images: 32, sharedThroughput: 0.8 },
            { images: 8, sharedThroughput: 1 },
          ];
      const sides: Side[] = [];
      for (const each of cases) {
        const service = await startTeacherService(writeConfig(folder, scale, each.sharedThroughput));
        services.push(service);
        const [flood, victim] = ["flood", "victim"].map((team) => target(service, team, scale));
        sides.push({ ...each, flood: flood!, victim: victim!, phases: [] });
      }
      // Turn about, so that whatever else the machine does falls on all.
      for (let round = 0; round < scale.rounds; round++)
        for (const side of sides) side.phases.push(await phase(side, scale, clients, round, tiny));
      const rows = sides.map((side) => rowOf(side, tiny));
      if (!tiny) writeResults(fairness.name, { node: process.versions.node }, rows);
      return rows;
    } finally {
      for (const each of clients) each.kill();
      for (const service of services) await service.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

interface Side {
  /** Of the victim's requests. */
  images: number;
  sharedThroughput: number;
  flood: Target;
  victim: Target;
  phases: Phase[];
}

interface Phase {
  /** Images a second with the flood alone. */
  capacity: number;
  quiet: ClientAnswer;
  flooded: ClientAnswer;
  /** The victim's requests in the flood's own line, as if there were no teams. */
  inLine: ClientAnswer;
  /** Of both teams together, images a second. */
  together: number;
  flood: ClientAnswer;
}

async function phase(
  side: Side,
  { seconds }: Scale,
  [flooder, asker]: readonly [ChildProcess, ChildProcess],
  round: number,
  tiny: boolean,
): Promise<Phase> {
  const { images, flood, victim } = side;
  const perSecondOf = async (during: () => Promise<unknown>) => {
    const [before, started] = [await ask(flooder, { do: "count" }), performance.now()];
    await during();
    const after = await ask(flooder, { do: "count" });
    return ((after.answered - before.answered) * FLOOD_IMAGES * 1000) / (performance.now() - started);
  };
  const startFlood = () =>
    ask(flooder, { do: "flood", to: flood, images: FLOOD_IMAGES, connections: CONNECTIONS });
  // Until it counts as shared no more: the flood alone and the victim alone must not be slowed by short passes.
  const forgotten = () => pause(tiny ? 0 : SHARED_MS + 500);

  await forgotten();
  await startFlood();
  await pause(1000);
  const capacity = await perSecondOf(() => pause(Math.min(5, seconds) * 1000));
  await ask(flooder, { do: "stop" });

  const perSecond = (LOAD * capacity) / images;
  const ordered = (to: Target, kind: number) =>
    ask(asker, { do: "ask", to, images, perSecond, seconds, seed: 1 + kind + 10 * round });
  const quiet = await ordered(victim, 1);

  await startFlood();
  await pause(1000);
  let flooded: ClientAnswer | undefined;
  const beside = await perSecondOf(async () => {
    flooded = await ordered(victim, 2);
  });
  await forgotten();
  const inLine = await ordered(flood, 3);
  return {
    capacity,
    quiet,
    flooded: flooded!,
    inLine,
    together: beside + (flooded!.answered * images) / seconds,
    flood: await ask(flooder, { do: "stop" }),
  };
}

function rowOf({ images, sharedThroughput, phases }: Side, tiny: boolean): Row {
  const times = (of: "quiet" | "flooded" | "inLine") => phases.flatMap((each) => each[of].milliseconds);
  const [quiet, flooded, inLine] = [times("quiet"), times("flooded"), times("inLine")];
  const peers = { "without the flood": median(quiet), "in the flood's own line": median(inLine) };
  const all = phases.flatMap((each) => [each.quiet, each.flooded, each.inLine, each.flood]);
  const sum = (of: (answer: ClientAnswer) => number) => all.reduce((total, each) => total + of(each), 0);
  const capacity = median(phases.map((each) => each.capacity));
  return {
    name: `${tiny ? "BiT tiny, 32" : "BiT-R26x0.5, 64"} px, requests of ${images}, passes to ${sharedThroughput} of throughput`,
    dtype: "float32",
    unit: "ms",
    ours: median(flooded),
    peers,
    ratio: ratioOfTimes(median(flooded), peers),
    details: {
      "the median grows, times": median(flooded) / median(quiet),
      "of single rounds, times": phases
        .map((each) => (median(each.flooded.milliseconds) / median(each.quiet.milliseconds)).toFixed(2))
        .join(" "),
      "p95 without and with the flood, ms": `${quantile(quiet, 0.95).toFixed(0)} ${quantile(flooded, 0.95).toFixed(0)}`,
      "victim's requests without and with the flood": `${quiet.length} ${flooded.length}`,
      "requests of the flood": phases.reduce((total, each) => total + each.flood.sent, 0),
      refused: sum((each) => each.refused),
      lost: sum((each) => each.sent - each.answered - each.refused),
      "capacity, images a second": capacity,
      "share of it while both ask": median(phases.map((each) => each.together / each.capacity)),
    },
  };
}

function writeConfig(folder: string, scale: Scale, sharedThroughput: number): string {
  const path = join(folder, `${sharedThroughput}.yaml`);
  const keys = ["flood", "victim"].map((team) => {
    const hash = createHash("sha256").update(keyOf(team)).digest("hex");
    return `${team}: sha256:${hash}\n`;
  });
  writeFileSync(join(folder, "keys"), keys.join(""));
  writeFileSync(
    path,
    `listen: { port: 0 }
keys: keys
models:
  bit: { format: npz, path: teacher.npz, resolution: ${scale.resolution}, valueRange: [-1, 1] }
batchSizes: [${scale.batchSizes}]
batching: { sharedThroughput: ${sharedThroughput} }
logLevel: warn
`,
  );
  return path;
}

function keyOf(team: string): string {
  return `the-key-of-${team}`;
}

function target(service: TeacherProcess, team: string, { resolution }: Scale): Target {
  return { url: service.url, model: "bit", key: keyOf(team), resolution };
}

function client(): ChildProcess {
  return fork(new URL("./fairness-client.ts", import.meta.url));
}

function ask(child: ChildProcess, order: ClientOrder): Promise<ClientAnswer> {
  return askChild<ClientAnswer>(child, order);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
