import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  CaptureError,
  centralViewGraph,
  freezeGraph,
  loadEngine,
  writeGraphModel,
  writeSavedModel,
} from "@funmatch/engine";
import { type NetworkConfig, networkOf } from "@funmatch/models";
import { writeCentralView } from "@funmatch/views";
import { loadGraphModel } from "@tensorflow/tfjs-converter";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { engineBinding } from "../../shared/engine/binding.ts";
import { studentGraph } from "../../student-trainer/export/student-graph.ts";
import { captureForward } from "../../student-trainer/learn/step.ts";
import { startFunmatch, temporaryFolder } from "../e2e/services.ts";
import { numbers } from "../engine/both-ways.ts";
import { seededWeights } from "../models/seeded-weights.ts";
import { trainFromLabels } from "./label-run.ts";
import "@tensorflow/tfjs-backend-cpu";

beforeAll(async () => {
  await loadEngine();
});

const SIDE = 32;
const CLASSES = 10;
const [FLOAT, INT32, UINT8] = [1, 3, 4];
const vit: Omit<Extract<NetworkConfig, { kind: "vit" }>, "pool"> = {
  ...{ kind: "vit", width: 32, depth: 2, mlp: 64, heads: 2, patch: 8, classes: CLASSES },
  ...{ positions: "sincos2d", image: [SIDE, SIDE] },
};
const MODELS: [string, NetworkConfig][] = [
  ["bit", { kind: "bit", blocks: [1, 1], width: 0.5, classes: CLASSES }],
  ["mobilenetv3", { kind: "mobilenetv3", size: "small", width: 0.25, momentum: 0.9, classes: CLASSES }],
  ["vit, gap", { ...vit, pool: "gap" }],
  ["vit, map", { ...vit, pool: "map" }],
  ["vit, tok", { ...vit, pool: "tok" }],
];

function pictures(count: number): Uint8Array {
  return Uint8Array.from(numbers(count, count * SIDE * SIDE * 3), (u) => Math.floor((u + 1) * 128));
}

function furthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));
}

test.each(MODELS)(
  "SavedModel and tfjs graph model answer as the student does, whatever the batch: %s",
  async (_, model) => {
    const weights = seededWeights(networkOf(model).shapes());
    const directory = temporaryFolder("export");
    const network = networkOf(model).apply();
    const forward = { network, weights, resolution: SIDE, compute: "float32" } as const;
    const graph = studentGraph({ network, weights, resolution: SIDE });
    writeSavedModel(join(directory, "saved_model"), { serving_default: graph });
    writeGraphModel(join(directory, "tfjs"), graph);

    const native = engineBinding();
    const session = native.loadSavedModel(join(directory, "saved_model"), "serve");
    const batches = [1, 4, 6];
    const wanted = batches.map((batch) => {
      const images = pictures(batch);
      const { logits } = captureForward({ ...forward, batch }).run({ images });
      const fed = native.createTensor([batch, SIDE, SIDE, 3], UINT8, images);
      const answers = native.runSavedModel(session, [fed], "images", "logits,probabilities");
      expect(answers.map(({ shape, dtype }) => [shape, dtype])).toEqual(
        Array(2).fill([[batch, CLASSES], FLOAT]),
      );
      const [said, probabilities] = answers.map(({ id }) => native.tensorDataSync(id) as Float32Array);
      expect(furthest(said!, logits!)).toBeLessThan(1e-5);
      expect(probabilities!.reduce((sum, p) => sum + p)).toBeCloseTo(batch, 4);
      return logits!;
    });

    await tf.setBackend("cpu");
    try {
      const loaded = await loadGraphModel({ load: async () => artifactsOf(join(directory, "tfjs")) });
      for (const [i, batch] of batches.entries()) {
        const images = tf.tensor4d(Int32Array.from(pictures(batch)), [batch, SIDE, SIDE, 3], "int32");
        const said = loaded.execute({ images }, "logits") as tf.Tensor;
        expect(said.shape).toEqual([batch, CLASSES]);
        expect(furthest(await said.data(), wanted[i]!)).toBeLessThan(1e-4);
      }
    } finally {
      await tf.setBackend("tensorflow");
    }
  },
  120_000,
);

function artifactsOf(directory: string) {
  const { modelTopology, weightsManifest, signature } = JSON.parse(
    readFileSync(join(directory, "model.json"), "utf8"),
  );
  const [{ paths, weights }] = weightsManifest;
  const { buffer } = Uint8Array.from(readFileSync(join(directory, paths[0])));
  return { modelTopology, weightSpecs: weights, weightData: buffer, signature };
}

/** The binding reads no bytes back, but whole numbers. */
function bytesOf(id: number): Uint8Array {
  const native = engineBinding();
  const type = (name: string, value: number) => ({ name, type: native.TF_ATTR_TYPE, value });
  const [numbers] = native.executeOp("Cast", [type("SrcT", UINT8), type("DstT", INT32)], [id], 1);
  return Uint8Array.from(native.tensorDataSync(numbers!.id));
}

test("the SavedModel's central_view is the view that the student is evaluated with", () => {
  const directory = temporaryFolder("central-view");
  writeSavedModel(directory, { central_view: centralViewGraph({ resolution: 16, side: 20 }) });
  const native = engineBinding();
  const session = native.loadSavedModel(directory, "serve");
  for (const [i, [height, width]] of [
    [20, 20],
    [37, 61],
    [61, 37],
    [200, 133],
    [11, 30],
  ].entries()) {
    const data = Uint8Array.from(numbers(i, height! * width! * 3), (u) => Math.floor((u + 1) * 128));
    const fed = native.createTensor([height!, width!, 3], UINT8, data);
    const [said] = native.runSavedModel(session, [fed], "picture", "view");
    expect(said).toMatchObject({ shape: [1, 16, 16, 3], dtype: UINT8 });
    const wanted = new Uint8Array(16 * 16 * 3);
    writeCentralView({ height: height!, width: width!, data }, 16, wanted, 0, 20);
    expect(Buffer.from(bytesOf(said!.id)).equals(wanted), `${height}x${width}`).toBe(true);
  }
});

test("what depends on the batch in another way than a shape is refused", () => {
  const input = { name: "x", shape: [2], dtype: "float32" } as const;
  const mean = (x: tf.Tensor) => ({ mean: tf.div(tf.sum(x), x.shape[0]!) });
  expect(() => freezeGraph({ input, fn: mean })).toThrow(CaptureError);
  const tiled = (x: tf.Tensor) => ({ y: tf.tile(tf.reshape(x, [1, -1]), [x.shape[0]! + 1, 1]) });
  expect(freezeGraph({ input, fn: tiled }).outputs).toEqual([{ name: "y", dtype: FLOAT, shape: [6, 10] }]);
});

test("export writes a run's student; a teacher service takes it as it is", async () => {
  const folder = temporaryFolder("export-run");
  const run = join(folder, "run");
  const trained = await trainFromLabels(folder);
  expect(trained.code, trained.output).toBe(0);
  const { code, output } = await startFunmatch(["export", run]).finished;
  expect(code, output).toBe(0);
  const out = join(run, "export");
  const told = JSON.parse(readFileSync(join(out, "export.json"), "utf8"));
  const summary = JSON.parse(readFileSync(join(run, "summary.json"), "utf8"));
  expect(told).toMatchObject({
    step: 6,
    parametersSha256: summary.student.parametersSha256,
    view: { resolution: 16, resizeShorterSideTo: 20 },
  });
  expect(readFileSync(join(out, "student.npz")).equals(readFileSync(join(run, "student.npz")))).toBe(true);
  const teacher = fileURLToPath(new URL("../../teacher-service/cli.ts", import.meta.url));
  const checked = execFileSync(process.execPath, [teacher, "check", join(out, "teacher.yaml")], {
    encoding: "utf8",
  });
  expect(checked).toMatch(/student: ready, sha256:[\s\S]* 10 classes/);

  const elsewhere = join(folder, "elsewhere");
  mkdirSync(elsewhere);
  const earlier = await startFunmatch(["export", run, "--out", elsewhere, "--checkpoint", "4"]).finished;
  expect(earlier.code, earlier.output).toBe(0);
  expect(JSON.parse(readFileSync(join(elsewhere, "export.json"), "utf8")).step).toBe(4);
  const none = await startFunmatch(["export", run, "--checkpoint", "3"]).finished;
  expect(none.output).toContain("there is no checkpoint step-000000003");
  expect(none.code).toBe(2);
}, 120_000);
