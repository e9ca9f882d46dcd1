import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type NetworkConfig, networkOf, vitVariant, type Weights, writeNpz } from "@funmatch/models";
import { draws } from "@funmatch/views";
import { startTeacherService } from "funmatch-teacher/dev";
import { expect, onTestFinished, test } from "vitest";
import { viewsOf } from "../../student-trainer/data/layers.ts";
import { openTeacher } from "../../student-trainer/teach/client.ts";
import { openInProcessTeacher } from "../../student-trainer/teach/in-process/client.ts";
import { noise, writeTeacher } from "../teacher-service/tiny-teacher.ts";

const valueRange: [number, number] = [-1, 1];

function someImages(count: number, side: number) {
  const shared = new Uint8Array(new SharedArrayBuffer(count * side * side * 3));
  shared.set(noise(shared.length));
  return viewsOf(shared, count, side);
}

async function opened(path: string, resolution: number, more: object = {}) {
  const teacher = await openInProcessTeacher({ path, resolution, valueRange, images: 4, ...more });
  onTestFinished(() => teacher.close());
  return teacher;
}

const call = { purpose: "train" as const, requestId: "step-1" };

test("a file in this process is the teacher that a service makes of it: same version, same logits", async () => {
  const { configPath, weightsPath } = await writeTeacher({ batchSizes: [4] });
  const service = await startTeacherService(configPath);
  onTestFinished(async () => void (await service.close()));
  const remote = await openTeacher({ url: `${service.url}/v1/models/tiny` });
  onTestFinished(() => remote.close());
  const local = await opened(weightsPath, 32);
  expect(local.card).toMatchObject({
    ...{ version: remote.card.version, classes: 7, bitStable: true },
    parameters: remote.card.parameters,
  });
  for (const count of [4, 3]) {
    const views = someImages(count, 32);
    const [here, there] = [await local.ask(views, call), await remote.ask(views, call)];
    expect(here.logits.length).toBe(count * 7);
    expect([...here.logits]).toEqual([...there.logits]);
    expect(here.version).toBe(there.version);
  }
}, 60_000);

test("it answers for the bytes that it was asked about, or not at all; another version is refused", async () => {
  const { weightsPath } = await writeTeacher({});
  const teacher = await opened(weightsPath, 32);
  const views = someImages(2, 32);
  views.data[5]! ^= 1;
  await expect(teacher.ask(views, call)).rejects.toMatchObject({ fault: "digest" });
  await expect(opened(weightsPath, 32, { pinnedVersion: `sha256:${"0".repeat(64)}` })).rejects.toThrow(
    /serves sha256:[0-9a-f]{64}, but this run began with sha256:0+/,
  );
  await expect(opened(`${weightsPath}.gone`, 32)).rejects.toThrow(/there is no file/);
  const other = await opened(weightsPath, 32, { valueRange: [0, 1] });
  expect(other.card.version).not.toBe(teacher.card.version);
}, 60_000);

const vit = { kind: "vit", ...vitVariant("Ti"), depth: 2, patch: 8, image: [16, 16], classes: 5 } as const;
const kinds: NetworkConfig[] = [
  { kind: "bit", blocks: [1, 2], width: 0.5, classes: 5 },
  { kind: "mobilenetv3", size: "small", width: 0.35, momentum: 0.999, classes: 5 },
  { kind: "mobilenetv3", size: "large", width: 1.25, momentum: 0.999, classes: 5 },
  { ...vit, image: [16, 16], positions: "learn", pool: "gap" },
  { ...vit, image: [16, 16], positions: "sincos2d", pool: "map" },
  { ...vit, image: [16, 16], positions: "learn", pool: "tok" },
];

test.each(kinds)(
  "the student.npz of a run teaches: $kind $size $pool",
  async (config) => {
    const weights: Weights = networkOf(config).init((name, count) => {
      const stream = draws(1, "init", name);
      return Float32Array.from({ length: count }, () => stream.normal());
    });
    weights["head/bias"]!.values.set([1, 2, 3, 4, 5]);
    const path = join(mkdtempSync(join(tmpdir(), "funmatch-student-")), "student.npz");
    const array = ({ shape, values }: Weights[string]) => ({
      dtype: "float32" as const,
      shape,
      data: values,
    });
    await writeNpz(
      path,
      Object.fromEntries(Object.entries(weights).map(([name, one]) => [name, array(one)])),
    );
    const teacher = await opened(path, 16, { images: 2 });
    const { logits } = await teacher.ask(someImages(2, 16), call);
    expect(logits.length).toBe(10);
    expect(logits.every(Number.isFinite)).toBe(true);
    const trained = Object.entries(weights).filter(([name]) => !/\/(mean|variance)$/.test(name));
    const parameters = trained.reduce((sum, [, { values }]) => sum + values.length, 0);
    expect(teacher.card).toMatchObject({ classes: 5, parameters, runtime: { architecture: config.kind } });
  },
  60_000,
);
