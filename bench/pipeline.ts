import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BitConfig, bitBlocks } from "@funmatch/models";
import { type Benchmark, median, quantile, type Row, writeResults } from "./benchmark.ts";
import { bind, type Cores, twoCores } from "./pipeline/cores.ts";
import { type Link, startLink } from "./pipeline/start-link.ts";
import { startTeacher } from "./pipeline/teacher.ts";
import { startTrainer, type Trainer, type Turn } from "./pipeline/trainer.ts";

interface Setting {
  roundTripMs: number;
  megabitsPerSecond: number;
}

interface Scale {
  student: BitConfig;
  teacher: BitConfig;
  resolution: number;
  batch: number;
  /** Those of a group take turns with each other and with their parts. */
  groups: Setting[][];
  rounds: number;
  /** Of one turn of a run; of the teacher alone. */
  seconds: { run: number; teacher: number };
}

/** The classes of the bundled pictures. */
const CLASSES = 10;
/** Steps under way: the smallest window, which is large enough for steps as long as those of `FULL`. */
const IN_FLIGHT = 8;

const FULL: Scale = {
  student: { blocks: bitBlocks(26), width: 0.5, classes: CLASSES },
  teacher: { blocks: bitBlocks(50), width: 0.5, classes: CLASSES },
  resolution: 64,
  batch: 64,
  groups: [1000, 100].map((megabitsPerSecond) =>
    [0, 20, 100].map((roundTripMs) => ({ roundTripMs, megabitsPerSecond })),
  ),
  rounds: 4,
  seconds: { run: 11, teacher: 4 },
};
const TINY: Scale = {
  student: { blocks: [1], width: 0.5, classes: CLASSES },
  teacher: { blocks: [1, 1], width: 0.5, classes: CLASSES },
  resolution: 32,
  batch: 16,
  groups: [[{ roundTripMs: 20, megabitsPerSecond: 100 }]],
  rounds: 2,
  seconds: { run: 2, teacher: 0.5 },
};

export const pipeline: Benchmark = {
  name: "pipeline",
  what: "whole runs with a remote teacher behind a link of given latency and bandwidth, against the slowest of their parts alone",
  async run({ tiny }) {
    const scale = tiny ? TINY : FULL;
    const rows: Row[] = [];
    for (const group of scale.groups) {
      rows.push(...(await measure(scale, group)));
      // After each group: whoever ends it early has what there is.
      if (!tiny) writeResults(pipeline.name, { node: process.versions.node }, rows);
    }
    return rows;
  },
};

/** A run through a link. */
interface Side {
  setting: Setting;
  link: Link;
  trainer: Trainer;
}

/**
 * A row for each setting. Turn about, so that whatever else the machine does falls on all, train: a run for each
 * setting through its link, and the student alone, which is the same run taught by labels: the same views, mixed
 * alike, the same network and step, but nobody is asked. The teacher alone answers clients without a link.
 */
async function measure(scale: Scale, group: Setting[]): Promise<Row[]> {
  const cores = twoCores();
  const folder = mkdtempSync(join(tmpdir(), "funmatch-pipeline-"));
  const stops: (() => unknown)[] = [];
  try {
    const teacher = await startTeacher(scale.teacher, { ...scale, folder, cores });
    stops.push(teacher.stop);
    const o = { folder, core: cores?.student, inFlight: IN_FLIGHT };
    const alone = await startTrainer({ ...configOf(scale), design: "labels" }, { ...o, name: "labels" });
    stops.push(alone.kill);
    const sides: Side[] = [];
    for (const [i, setting] of group.entries()) {
      const link = await startLink(teacher.url, setting);
      stops.push(link.stop);
      bind(link.pid, cores?.teacher);
      const teachers = [{ url: `${link.url}/v1/models/bench` }];
      const config = { ...configOf(scale), design: "funmatch", teachers };
      const trainer = await startTrainer(config, { ...o, name: `run-${i}` });
      stops.push(trainer.kill);
      sides.push({ setting, link, trainer });
    }
    const teaching: number[] = [];
    for (let round = 0; round < scale.rounds; round++) {
      for (const trainer of [alone, ...sides.map((side) => side.trainer)])
        await trainer.turn(scale.seconds.run);
      teaching.push(await teacher.alone({ batch: scale.batch, seconds: scale.seconds.teacher }));
    }
    const parts = { student: await alone.end(), teacher: teaching };
    const rows: Row[] = [];
    for (const side of sides) rows.push(await rowOf(scale, side, parts, cores));
    return rows;
  } finally {
    for (const stop of stops.reverse()) await stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the runs and the student alone have in common. */
function configOf({ student, resolution, batch }: Scale): object {
  return {
    data: { train: { fashion: "train" } },
    student: { model: "bit", blocks: student.blocks, width: student.width, resolution },
    batch,
    optimizer: { kind: "adam", learningRate: 1e-4, weightDecay: 1e-4, clip: 1 },
    ...{ threads: 1, workers: 1 },
  };
}

interface Parts {
  student: Turn[];
  /** Images a second in each round. */
  teacher: number[];
}

async function rowOf(
  { batch, resolution }: Scale,
  { setting, link, trainer }: Side,
  parts: Parts,
  cores?: Cores,
): Promise<Row> {
  const turns = await trainer.end();
  const rate = ({ steps }: Turn) => (steps.length * batch) / sum(steps);
  const [whole, student] = [turns.map(rate), parts.student.map(rate)];
  const { up } = await link.carried();
  const peers = {
    "student alone": median(student),
    "teacher alone": median(parts.teacher),
    link: (setting.megabitsPerSecond * 1e6) / 8 / (resolution ** 2 * 3),
  };
  const steps = turns.flatMap((turn) => turn.steps);
  return {
    name: `${setting.roundTripMs} ms, ${setting.megabitsPerSecond} Mbit/s`,
    ...{ dtype: "float32", unit: "images/s", ours: median(whole), peers },
    ratio: median(whole) / Math.min(...Object.values(peers)), // the efficiency
    details: {
      "efficiency in each round": whole
        .map((each, i) => each / Math.min(student[i]!, parts.teacher[i]!, peers.link))
        .map((each) => each.toFixed(3))
        .join(" "),
      "share of the time that the student waits for the teacher":
        sum(turns.map((turn) => turn.waitedSeconds)) / sum(steps),
      "steps counted": steps.length,
      "seconds counted": sum(steps),
      "MB carried to the teacher": up / 1e6,
      // Where others use the machine: its undisturbed steps, what it computed itself, and how much of its core it got.
      "fastest tenth of steps, ms, run and student alone": [turns, parts.student].map(fastest).join(" "),
      "processor ms a step, run and student alone": [turns, parts.student].map(cpuOfStep).join(" "),
      "share of the core, run and student alone": [turns, parts.student].map(shareOfCore).join(" "),
      cores: cores ? `student ${cores.student}, teacher and link ${cores.teacher}` : "not bound",
    },
  };
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The time, in ms, that a tenth of the steps do not exceed. */
function fastest(turns: Turn[]): string {
  const steps = turns.flatMap((turn) => turn.steps);
  return (1000 * quantile(steps, 0.1)).toFixed(1);
}

function cpuOfStep(turns: Turn[]): string {
  return median(turns.map(({ whole }) => (1000 * whole.cpuSeconds) / whole.steps)).toFixed(1);
}

function shareOfCore(turns: Turn[]): string {
  return median(turns.map(({ whole }) => whole.cpuSeconds / whole.seconds)).toFixed(2);
}
