import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BitConfig, bitBlocks } from "@funmatch/models";
import { type Benchmark, median, type Row, writeResults } from "./benchmark.ts";
import { bind, type Cores, twoCores } from "./pipeline/cores.ts";
import { startLink } from "./pipeline/start-link.ts";
import { startTeacher, type Teacher } from "./pipeline/teacher.ts";
import { type Trained, trained } from "./pipeline/trained.ts";

interface Setting {
  roundTripMs: number;
  megabitsPerSecond: number;
}

interface Scale {
  student: BitConfig;
  teacher: BitConfig;
  resolution: number;
  batch: number;
  settings: Setting[];
  /** Of steps that are counted, in each run; of the teacher alone, too. */
  seconds: { run: number; teacher: number };
  /** Steps of a run that are not counted. */
  warmUp: number;
}

/** The classes of the bundled pictures. */
const CLASSES = 10;

const FULL: Scale = {
  student: { blocks: bitBlocks(26), width: 0.5, classes: CLASSES },
  teacher: { blocks: bitBlocks(50), width: 0.5, classes: CLASSES },
  resolution: 64,
  batch: 64,
  settings: [1000, 100].flatMap((megabitsPerSecond) =>
    [0, 20, 100].map((roundTripMs) => ({ roundTripMs, megabitsPerSecond })),
  ),
  seconds: { run: 32, teacher: 10 },
  warmUp: 20,
};
const TINY: Scale = {
  student: { blocks: [1], width: 0.5, classes: CLASSES },
  teacher: { blocks: [1, 1], width: 0.5, classes: CLASSES },
  resolution: 32,
  batch: 16,
  settings: [{ roundTripMs: 20, megabitsPerSecond: 100 }],
  seconds: { run: 1, teacher: 0.5 },
  warmUp: 2,
};

export const pipeline: Benchmark = {
  name: "pipeline",
  what: "a whole run with a remote teacher behind a link of given latency and bandwidth, against the slowest of its parts alone",
  async run({ tiny }) {
    const rows: Row[] = [];
    for await (const row of settings(tiny ? TINY : FULL)) {
      rows.push(row);
      // After each setting: whoever ends it early has what there is.
      if (!tiny) writeResults(pipeline.name, { node: process.versions.node }, rows);
    }
    return rows;
  },
};

/** What bounds a run, measured alone. */
interface Parts {
  student: Trained;
  /** Images a second. */
  teacher: number;
}

/**
 * A row for each setting: the run through the link, and before and after it the student alone (the same run
 * taught by labels: the same views, mixed alike, the same network and step, but nobody is asked) and the teacher alone.
 */
async function* settings(scale: Scale): AsyncGenerator<Row> {
  const cores = twoCores();
  const folder = mkdtempSync(join(tmpdir(), "funmatch-pipeline-"));
  const teacher = await startTeacher(scale.teacher, { ...scale, folder, cores });
  try {
    const o = { folder, cores };
    const parts = async (name: string, steps: number): Promise<Parts> => ({
      student: await studentAlone(scale, { ...o, name, steps }),
      teacher: await teacher.alone({ batch: scale.batch, seconds: scale.seconds.teacher }),
    });
    let before = await parts("alone-0", 3 * scale.warmUp);
    const { student } = before;
    const steps = scale.warmUp + Math.ceil(scale.seconds.run * (student.steps / student.seconds));
    for (const [i, setting] of scale.settings.entries()) {
      const whole = await throughLink(scale, setting, { ...o, teacher, name: `run-${i}`, steps });
      const after = await parts(`alone-${i + 1}`, Math.ceil((scale.warmUp + steps) / 2));
      yield rowOf(scale, setting, { whole, parts: [before, after], cores });
      before = after;
    }
  } finally {
    await teacher.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the run through the link and the student alone have in common. */
function configOf({ student, resolution, batch }: Scale, steps: number): object {
  return {
    data: { train: { fashion: "train" } },
    student: { model: "bit", blocks: student.blocks, width: student.width, resolution },
    ...{ batch, length: { steps } },
    optimizer: { kind: "adam", learningRate: 1e-4, weightDecay: 1e-4, clip: 1 },
    log: { everySteps: 1, tensorboard: false },
    ...{ threads: 1, workers: 1 },
  };
}

interface RunOrder {
  folder: string;
  name: string;
  cores?: Cores;
  steps: number;
}

function studentAlone(scale: Scale, { folder, name, cores, steps }: RunOrder): Promise<Trained> {
  const o = { folder, name, core: cores?.student, warmUp: scale.warmUp };
  return trained({ ...configOf(scale, steps), design: "labels" }, o);
}

interface Whole extends Trained {
  /** What the link carried for one step, towards the teacher. */
  bytesPerStep: number;
}

async function throughLink(
  scale: Scale,
  setting: Setting,
  { teacher, folder, name, cores, steps }: RunOrder & { teacher: Teacher },
): Promise<Whole> {
  const link = await startLink(teacher.url, setting);
  try {
    bind(link.pid, cores?.teacher);
    const config = {
      ...configOf(scale, steps),
      design: "funmatch",
      teachers: [{ url: `${link.url}/v1/models/bench` }],
    };
    const run = await trained(config, { folder, name, core: cores?.student, warmUp: scale.warmUp });
    return { ...run, bytesPerStep: (await link.carried()).up / steps };
  } finally {
    link.stop();
  }
}

function rowOf(
  { batch }: Scale,
  { roundTripMs, megabitsPerSecond }: Setting,
  { whole, parts, cores }: { whole: Whole; parts: Parts[]; cores?: Cores },
): Row {
  const rate = ({ steps, seconds }: Trained) => (steps * batch) / seconds;
  const link = (batch * megabitsPerSecond * 1e6) / 8 / whole.bytesPerStep;
  const students = parts.map(({ student }) => rate(student));
  const teachers = parts.map(({ teacher }) => teacher);
  const peers = { "student alone": median(students), "teacher alone": median(teachers), link };
  return {
    name: `${roundTripMs} ms, ${megabitsPerSecond} Mbit/s`,
    ...{ dtype: "float32", unit: "images/s", ours: rate(whole), peers },
    ratio: rate(whole) / Math.min(...Object.values(peers)), // the efficiency
    details: {
      "share of the time that the student waits for the teacher": whole.waitedSeconds / whole.seconds,
      "steps counted": whole.steps,
      "seconds counted": whole.seconds,
      "student alone, before and after, images/s": students.map((each) => each.toFixed(1)).join(" "),
      "teacher alone, before and after, images/s": teachers.map((each) => each.toFixed(1)).join(" "),
      "bytes a step": whole.bytesPerStep,
      cores: cores ? `student ${cores.student}, teacher and link ${cores.teacher}` : "not bound",
    },
  };
}
