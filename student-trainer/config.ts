import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { readConfig, resolvePath, UserError } from "@funmatch/config";
import { z } from "zod";
import { PUBLISHED } from "./data/published/layout.ts";
import { SLICE } from "./data/slice-bounds.ts";
import { evaluateSchema, faultOfEvaluation } from "./evaluation-config.ts";
import { TIME } from "./learn/length.ts";
import { distanceSchema, optimizerSchema, scheduleSchema } from "./method.ts";
import { DESIGNS, type DesignName } from "./teach/designs.ts";
import { checkTeacherSpec, teacherSchema } from "./teachers.ts";

const count = z.int().positive();

/** [low, high] with `least` < low <= high <= `most`. */
const range = (least: number, most: number) =>
  z
    .tuple([z.number().gt(least).max(most), z.number().gt(least).max(most)])
    .refine(([low, high]) => low <= high, "expected [low, high]");

/** A part of the images, such as "[:90%]". */
const split = z
  .string('expected a part in quotes, such as "[:90%]": without them YAML takes it for a list')
  .regex(SLICE, "expected a part such as [:90%], [90%:] or [100:200]")
  .optional();
const mixupP = z.number().min(0).max(10);

const source = z.union([
  /** A data set as its publisher lays it out in `folder`; `part`: such as train. */
  z.strictObject({ published: z.enum(PUBLISHED), folder: z.string(), part: z.string(), split }),
  /** Without `published`: so that what is missing there is told, not that it cannot stand beside `folder`. */
  z.strictObject({ folder: z.string(), published: z.never().optional(), split }),
  /** `list`: the file that names the images; `classes`: a file with a class name on each line. */
  z.strictObject({ folder: z.string(), list: z.string(), classes: z.string().optional(), split }),
  z.strictObject({ shards: z.string(), classes: z.string().optional(), split }),
  /** `image`, `label`: names of columns. */
  z.strictObject({
    parquet: z.string(),
    image: z.string().optional(),
    label: z.string().optional(),
    classes: z.string().optional(),
    split,
  }),
  z.strictObject({ fashion: z.enum(["train", "validation", "test"]), path: z.string().optional(), split }),
]);

/** Evaluation may be by several labels an image, as ImageNet-ReaL's, from a JSON file. */
const evaluated = z.union(source.options.map((one) => one.extend({ labels: z.string().optional() })));

/** What every student has. */
const anyStudent = {
  resolution: z.int().min(8).max(1024),
  init: z.string().optional(),
};

const bitStudent = z.strictObject({
  model: z.literal("bit"),
  depth: z.literal([26, 50, 101, 152, 200]).optional(),
  blocks: z.array(count).min(1).max(8).optional(),
  width: z.number().positive().multipleOf(0.5).default(1),
  ...anyStudent,
});

const mobileNetV3Student = z.strictObject({
  model: z.literal("mobilenetv3"),
  size: z.enum(["small", "large"]),
  width: z.number().min(0.1).max(8).default(1),
  /** Share of BatchNorm's running statistics that a step keeps: less for a short run. */
  momentum: z.number().min(0).lt(1).default(0.999),
  ...anyStudent,
});

const vitStudent = z.strictObject({
  model: z.literal("vit"),
  size: z.enum(["Ti", "S", "B"]),
  patch: z.int().min(1).max(256),
  positions: z.enum(["learn", "sincos2d"]).default("learn"),
  pool: z.enum(["gap", "map", "tok"]).default("gap"),
  ...anyStudent,
});

/** A network of the user's own: docs/students.md. */
const moduleStudent = z.strictObject({
  model: z.literal("module"),
  /** The ES module, TypeScript or JavaScript, that exports `init` and `apply`. */
  file: z.string(),
  /** Given to both as they are. */
  options: z.record(z.string(), z.json()).default({}),
  ...anyStudent,
  /** Of its code; written into the run's config. */
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, "expected 64 hex digits")
    .optional(),
});

const student = z.discriminatedUnion("model", [bitStudent, mobileNetV3Student, vitStudent, moduleStudent]);

/** A run's config file; `docs/run.schema.json` is made from it. */
export const trainSchema = z.strictObject({
  run: z.string().min(1),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0),
  data: z
    .object({
      train: source,
      validation: evaluated.optional(),
      test: evaluated.optional(),
      /** Share of a split's images that may be corrupt; others stand in for them in training, evaluation skips them. */
      maxCorrupt: z.number().min(0).lt(1).default(0.01),
    })
    /** Other splits to evaluate on, by names of the user's choice. */
    .catchall(evaluated),
  teachers: z.array(teacherSchema).max(8).default([]),
  /** Whether a teacher that looks mismatched before the first step (near chance, say) is warned of, or an error. */
  contract: z.enum(["warn", "strict"]).optional(),
  /** How several teachers teach: the sum of the distances from each (absent), or the distance from the mean of their probabilities. */
  combine: z.enum(["sum", "mean"]).optional(),
  design: z.enum(Object.keys(DESIGNS) as DesignName[]),
  student,
  distance: distanceSchema.prefault({}),
  /** Inception crops of an image that design fix/ic_ens asks its teacher for, once; absent: the paper's 1,024. */
  ensemble: count.max(65_536).optional(),
  /** p of Beta(p, p), 0 for no mixup; lambda: one for each batch, as in the paper, or for each example. */
  mixup: z
    .union([mixupP, z.strictObject({ p: mixupP.default(1), lambda: z.enum(["batch", "example"]) })])
    .default(1),
  /** Inception crop: share of the picture's area, and width over height. */
  crop: z
    .strictObject({ area: range(0, 1).default([0.05, 1]), aspect: range(0, 100).default([0.75, 1.33]) })
    .prefault({}),
  batch: z.int().min(2).max(65_536),
  /**
   * Micro-batches that a batch goes through the student in, for less memory: the same step but for rounding, and,
   * in a network with BatchNorm, for its statistics, which are of a micro-batch each.
   */
  accumulate: count.default(1),
  length: z.union([
    z.strictObject({ epochs: z.number().positive() }),
    z.strictObject({ steps: z.int().positive() }),
    /** As many steps as fit the time, measured before the first one; `steps` is then written into the run's config. */
    z.strictObject({
      time: z.string().regex(TIME, 'expected a time such as "90m", "3h" or "2d"'),
      steps: count.optional(),
    }),
  ]),
  optimizer: optimizerSchema,
  schedule: scheduleSchema.prefault({}),
  /** What convolutions and matrix products are computed in; auto: the faster of the two, written into the run's config. */
  compute: z.enum(["float32", "bfloat16", "auto"]).default("float32"),
  evaluate: evaluateSchema.prefault({}),
  /** `keep`: how many of the newest stay; those of a step that `keepEvery` divides stay for good. */
  checkpoint: z
    .strictObject({ everySteps: count.default(200), keep: count.default(2), keepEvery: count.optional() })
    .prefault({}),
  /** `tensorboard`: the figures also as event files, in the run's folder of that name. */
  log: z.strictObject({ everySteps: count.default(10), tensorboard: z.boolean().default(true) }).prefault({}),
  /** Steps whose views and teacher answers are prepared ahead of the student; absent: 8, or as many up to 64 as the way to the teacher takes. */
  inFlight: z.int().min(1).max(256).optional(),
  /** Images in one request; absent: as many as each teacher's limits allow, written into the run's config. */
  chunk: count.optional(),
  /** Threads inside one TensorFlow operation; absent: one a core. Part of the run, since sums depend on it. */
  threads: z.int().min(1).max(1024).optional(),
  /** View threads, which change nothing but speed; absent: one a core, at most 8. */
  workers: z.int().min(1).max(256).optional(),
});

/** Keys of which a config has one. */
const EITHER = [
  ["length.epochs", "length.steps", "length.time"],
  ["student.depth", "student.blocks"],
  ...["train", "validation", "test"].map((split) =>
    ["folder", "shards", "parquet", "fashion"].map((kind) => `data.${split}.${kind}`),
  ),
];

type SourceConfig = z.output<typeof evaluated>;
/** A run, as validated; all paths absolute. */
export type TrainConfig = z.output<typeof trainSchema>;

/** Every split under `data`, by name; "train" is one of them. */
export function splitsOf({ maxCorrupt: _, ...splits }: TrainConfig["data"]): Record<string, SourceConfig> {
  return Object.fromEntries(Object.entries(splits).filter(([, split]) => split !== undefined));
}

/**
 * Reads and validates the config of a run.
 *
 * @throws UserError when the file or an override is not valid
 */
export function readTrainConfig(path: string, sets: string[] = []): TrainConfig {
  const config = readConfig(trainSchema, path, sets, EITHER);
  const directory = dirname(resolve(path));
  const place = (relative: string) => resolvePath(directory, relative);
  for (const split of Object.values(splitsOf(config.data))) {
    if (split.labels) split.labels = place(split.labels);
    if ("folder" in split) split.folder = place(split.folder);
    if ("shards" in split) split.shards = place(split.shards);
    if ("parquet" in split) split.parquet = place(split.parquet);
    if ("list" in split) split.list = place(split.list);
    if ("classes" in split && split.classes) split.classes = place(split.classes);
    if ("fashion" in split && split.path) split.path = place(split.path);
  }
  if (config.student.model === "module") config.student.file = place(config.student.file);
  if (config.student.init) config.student.init = place(config.student.init);
  for (const teacher of config.teachers) if ("file" in teacher) teacher.file = place(teacher.file);
  config.run = place(config.run);
  if (config.design === "fix/ic_ens") config.ensemble ??= 1024;
  checkTogether(config, path);
  return config;
}

/**
 * The config of a run that is there.
 *
 * @param run its folder
 * @throws UserError when it is no run
 */
export function readRunConfig(run: string): TrainConfig {
  const path = join(run, "config.yaml");
  if (!existsSync(path)) throw new UserError(`${run} is not a run: it has no config.yaml`);
  return readTrainConfig(path);
}

/** What no single key can tell. */
function checkTogether(config: TrainConfig, path: string): void {
  const fail = (message: string): never => {
    throw new UserError(`${path}: ${message}`);
  };
  if (config.design === "labels" && config.teachers.length > 0)
    fail("design labels teaches from labels: leave teachers out, or choose design funmatch");
  if (config.design === "labels" && config.distance.kind !== "kl")
    fail(
      `distance.kind: design labels has no logits to measure ${config.distance.kind} from; leave distance out`,
    );
  if (config.design !== "labels" && config.teachers.length === 0)
    fail(`design ${config.design} needs a teacher: teachers: [{ url: https://…/v1/models/NAME }]`);
  if (config.combine !== undefined && config.teachers.length < 2)
    fail("combine is how several teachers teach: leave it out, or name more teachers");
  if (config.batch % config.accumulate !== 0)
    fail(`accumulate: a batch of ${config.batch} images is not ${config.accumulate} equal parts`);
  const { everySteps, keepEvery = everySteps } = config.checkpoint;
  if (keepEvery % everySteps !== 0)
    fail(`checkpoint.keepEvery: checkpoints are made every ${everySteps} steps; give a multiple of that`);
  if (config.ensemble !== undefined && config.design !== "fix/ic_ens")
    fail(`ensemble is of design fix/ic_ens alone: leave it out of design ${config.design}`);
  for (const teacher of config.teachers) checkTeacherSpec(teacher);
  const { student } = config;
  if (student.model === "vit" && student.patch > student.resolution)
    fail(`student.patch is ${student.patch} pixels, but student.resolution only ${student.resolution}`);
  if (student.model === "bit" && (student.depth === undefined) === (student.blocks === undefined))
    fail("student: give either depth (26, 50, 101, 152, 200) or blocks (units a stage, such as [1, 1, 1])");
  if ((config.evaluate.resize ?? Number.POSITIVE_INFINITY) < config.student.resolution)
    fail(`evaluate.resize must be at least student.resolution (${config.student.resolution})`);
  checkSplits(config, fail);
}

/** Names of splits are parts of files' names. */
const SPLIT_NAME = /^[A-Za-z0-9][\w.-]*$/;

function checkSplits({ data, evaluate, teachers }: TrainConfig, fail: (message: string) => never): void {
  const splits = Object.keys(splitsOf(data));
  const odd = splits.find((name) => !SPLIT_NAME.test(name));
  if (odd !== undefined) fail(`data."${odd}": a split's name has letters, digits, ".", "-" and "_" alone`);
  const fault = faultOfEvaluation(evaluate, splits, teachers.length > 0);
  if (fault !== undefined) fail(fault);
}
