import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTrainConfig, splitsOf } from "funmatch/config";
import { expect, test } from "vitest";
import { stringify } from "yaml";

/** The config of design.md, but for what is not built yet. */
const example = {
  run: "runs/clothing",
  data: { train: { folder: "photos/train" }, validation: { folder: "photos/validation" } },
  teachers: [{ url: "https://gateway.example/v1/models/prof", key: "env:FUNMATCH_KEY" }],
  design: "funmatch",
  student: { model: "bit", depth: 26, width: 0.5, resolution: 64 },
  distance: { kind: "kl", temperature: 2 },
  batch: 128,
  length: { epochs: 1000 },
  optimizer: { kind: "adam", learningRate: 3e-3, weightDecay: 1e-4, clip: 1 },
  schedule: { decay: "cosine", warmupSteps: 100 },
  compute: "float32",
  evaluate: { everySteps: 200, splits: ["validation"] },
  checkpoint: { everySteps: 200, keep: 2 },
};

function read(sets: string[] = []) {
  const path = join(mkdtempSync(join(tmpdir(), "run-config-")), "run.yaml");
  writeFileSync(path, stringify(example));
  return { path, config: () => readTrainConfig(path, sets) };
}

test("paths are relative to the file", () => {
  const { path, config } = read();
  expect(config()).toMatchObject({
    run: join(path, "../runs/clothing"),
    data: { train: { folder: join(path, "../photos/train") } },
  });
});

test("the list and the class names of a split are files beside the config, with a part of it", () => {
  const sets = ["data.train.list=train.txt", "data.train.classes=names.txt", 'data.train.split="[:90%]"'];
  const { path, config } = read(sets);
  expect(config().data.train).toEqual({
    folder: join(path, "../photos/train"),
    list: join(path, "../train.txt"),
    classes: join(path, "../names.txt"),
    split: "[:90%]",
  });
});

test("any number of splits have names of their own, and a file of several labels", () => {
  const sets = ["data.real.folder=photos/validation", "data.real.labels=real.json", "data.v2.shards=v2.tar"];
  const { path, config } = read([
    ...sets,
    "evaluate.splits=[validation, v2]",
    "evaluate.probes=[{ on: v2 }]",
  ]);
  const { data, evaluate } = config();
  expect(data.real).toEqual({
    folder: join(path, "../photos/validation"),
    labels: join(path, "../real.json"),
  });
  expect(Object.keys(splitsOf(data))).toEqual(["train", "validation", "real", "v2"]);
  expect(evaluate).toMatchObject({
    splits: ["validation", "v2"],
    probes: [{ from: "train", on: "v2", shots: [1, 5, 10, 25], l2: 1024, draws: 3 }],
  });
});

test("a best checkpoint is chosen by accuracy unless told otherwise; by a teacher's figures only where there is one", () => {
  const best = read(["evaluate.best.split=validation"]).config().evaluate.best;
  expect(best).toEqual({ split: "validation", metric: "accuracy" });
  const labels = ["design=labels", "teachers=[]", "distance={}"];
  const byKl = read([...labels, "evaluate.best={ split: validation, metric: kl }"]);
  expect(byKl.config).toThrow("evaluate.best.metric: a run without a teacher has no kl");
});

test("Parquet files and published data sets are found beside the config", () => {
  const { path, config } = read([
    "data.train.parquet=data/*.parquet",
    "data.train.image=img",
    "data.validation.published=flowers102",
    "data.validation.part=validation",
  ]);
  expect(config().data).toMatchObject({
    train: { parquet: join(path, "../data/*.parquet"), image: "img" },
    validation: { published: "flowers102", folder: join(path, "../photos/validation"), part: "validation" },
  });
});

test("an override takes the place of the key that it excludes", () => {
  expect(read(["length.steps=20"]).config().length).toEqual({ steps: 20 });
  const { student } = read(["student.blocks=[1, 1]"]).config();
  expect(student).toEqual({ model: "bit", blocks: [1, 1], width: 0.5, resolution: 64 });
  expect(read(["data.train.fashion=train"]).config().data.train).toEqual({ fashion: "train" });
});

test("distance and schedule are chosen by name, with the parameters of their own", () => {
  const sets = ["distance={ kind: hard, smoothing: 0.1 }", "schedule={ decay: rsqrt, cooldownSteps: 50 }"];
  expect(read(sets).config()).toMatchObject({
    distance: { kind: "hard", smoothing: 0.1 },
    schedule: { decay: "rsqrt", timescale: 10_000, shift: 0, warmupSteps: 0, cooldownSteps: 50 },
  });
  const { schedule } = read(["schedule={ warmupSteps: 5 }"]).config();
  expect(schedule).toEqual({ decay: "cosine", warmupSteps: 5, cooldownSteps: 0 });
});

test("fix/ic_ens asks for the paper's 1,024 crops unless told otherwise", () => {
  expect(read(["design=fix/ic_ens"]).config().ensemble).toBe(1024);
  expect(read(["design=fix/ic_ens", "ensemble=8"]).config().ensemble).toBe(8);
  expect(read().config().ensemble).toBeUndefined();
});

test("students of other kinds have keys of their own", () => {
  const mobile = read(["student={ model: mobilenetv3, size: large, resolution: 64 }"]).config().student;
  expect(mobile).toEqual({ model: "mobilenetv3", size: "large", width: 1, momentum: 0.999, resolution: 64 });
  const vit = read(["student={ model: vit, size: S, patch: 16, resolution: 64 }"]).config().student;
  expect(vit).toMatchObject({ size: "S", patch: 16, positions: "learn", pool: "gap" });
});

test.each([
  ["teachers.0.url=prof", "expected a URL such as"],
  ["teachers.0.url=https://me:secret@host/v1/models/prof", "a URL carries no key"],
  ["teachers.0.url=https://host/v1/models/prof?key=secret", "expected a URL such as"],
  ["ensemble=10", "ensemble is of design fix/ic_ens alone"],
  ["design=same/cc", "design: "],
  ["student.width=0.3", "student.width: Invalid number: must be a multiple of 0.5"],
  ["data.train.published=flowers102", "data.train.part: Invalid input: expected string"],
  ["data.train={ published: flowers, folder: x, part: train }", 'expected one of "flowers102"|'],
  ["data.train={ parquet: x, lable: y }", 'did you mean "label"?'],
  ['data.train.split="90%"', "data.train.split: expected a part such as [:90%]"],
  ["data.train.split=[:90%]", 'data.train.split: expected a part in quotes, such as "[:90%]"'],
  [
    "teachers=[{ file: prof.onnx, resolution: 64, valueRange: [-1, 1] }]",
    "funmatch-teacher serves other formats",
  ],
  ["student.depth=27", "expected one of 26|50|101|152|200"],
  ["distance.kind=kd", "distance.kind: expected one of kl|hard|euclidean|l2|logsoftmax_euclidean"],
  ["distance.smoothing=0.1", '"distance.smoothing" cannot stand beside the other keys there'],
  ["optimizer.kind=lion", "optimizer.kind: expected one of adam|sgd|shampoo"],
  ["optimizer.momentum=0.9", '"optimizer.momentum" cannot stand beside the other keys there'],
  ["optimizer.freeze='head/('", "optimizer.freeze: expected a regular expression"],
  ["accumulate=3", "accumulate: a batch of 128 images is not 3 equal parts"],
  ["schedule.decay=step", "schedule.decay: expected one of cosine|linear|rsqrt|stair"],
  [
    "schedule={ decay: stair, boundaries: [10, 20], multipliers: [0.1] }",
    "schedule.multipliers: expected as many multipliers as boundaries",
  ],
  ["schedule={ decay: stair, boundaries: [20, 10], multipliers: [0.1, 0] }", "steps in rising order"],
  ["student.model=resnet", "student.model"],
  ["student={ model: vit, size: S, patch: 80, resolution: 64 }", "student.patch is 80 pixels"],
  ["student={ model: vit, size: S, patch: 8, depth: 26, resolution: 64 }", '"student.depth" cannot stand'],
  ["evaluate.splits=[test]", 'evaluate.splits: "test" is not under data'],
  ["evaluate.best.split=train", 'evaluate.best.split: "train" is not among evaluate.splits'],
  ["evaluate.best={ split: validation, metric: loss }", "evaluate.best.metric: "],
  ["evaluate.best.split=test", "evaluate.best.split: what is chosen by test images says nothing"],
  ["evaluate.probes=[{ on: test }]", 'evaluate.probes.0.on: "test" is not under data'],
  ["evaluate.probes=[{ on: train }]", "evaluate.probes.0: shots are drawn from other images"],
  ["data.train.labels=real.json", 'unknown key "data.train.labels"'],
  ["data.real.fodler=photos/real", 'unknown key "data.real.fodler": did you mean "folder"?'],
  ["data.a/b.folder=photos/real", `data."a/b": a split's name has letters, digits`],
])("%s is refused with: %s", (set, message) => {
  expect(read([set]).config).toThrow(message);
});
