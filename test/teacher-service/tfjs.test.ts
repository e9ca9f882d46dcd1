import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadEngine } from "@funmatch/engine";
import { loadGraphModel } from "@tensorflow/tfjs-converter";
import * as tf from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import { beforeAll, describe, expect, test } from "vitest";
import { modelSchema, resolveModel } from "../../teacher-service/config/model-config.ts";
import { openNetwork } from "../../teacher-service/formats/open.ts";
import { readTfjsFiles } from "../../teacher-service/formats/tfjs-files.ts";
import { noise } from "./tiny-teacher.ts";

const SIDE = 8;
const folder = mkdtempSync(join(tmpdir(), "funmatch-tfjs-"));
let folders = 0;
let layersPath: string;
beforeAll(async () => {
  await loadEngine();
  layersPath = await writeLayers();
});

function write(model: object, weights: Uint8Array): string {
  const path = join(folder, String(++folders));
  mkdirSync(path);
  writeFileSync(join(path, "model.json"), JSON.stringify(model));
  writeFileSync(join(path, "weights.bin"), weights);
  return path;
}

/** A model of tfjs-layers, as its own `model.save("file://…")` lays it down. */
async function writeLayers(): Promise<string> {
  const random = () => layers.initializers.randomUniform({ minval: -1, maxval: 1, seed: 3 });
  const model = layers.sequential({
    layers: [
      layers.layers.conv2d({
        ...{ inputShape: [SIDE, SIDE, 3], filters: 6, kernelSize: 3, strides: 2, padding: "same" },
        kernelInitializer: random(),
      }),
      layers.layers.batchNormalization({ movingMeanInitializer: random() }),
      layers.layers.reLU(),
      layers.layers.dropout({ rate: 0.5 }),
      layers.layers.flatten(),
      layers.layers.dense({ units: 5, activation: "softmax", kernelInitializer: random() }),
    ],
  });
  let path = "";
  await model.save(
    tf.io.withSaveHandler(async ({ modelTopology, weightSpecs, weightData }) => {
      const manifest = [{ paths: ["weights.bin"], weights: weightSpecs }];
      path = write(
        { format: "layers-model", modelTopology, weightsManifest: manifest },
        new Uint8Array(weightData as ArrayBuffer),
      );
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
    }),
  );
  return path;
}

/**
 * A GraphModel as tfjs's converter writes it: convolution, bias and ReLU fused, kernels quantised to bytes, and a
 * reshape whose size is worked out from the input's.
 */
function writeGraph(): string {
  const node = (name: string, op: string, input: string[] = [], attr: object = {}) => ({
    ...{ name, op, input },
    attr: { T: { type: "DT_FLOAT" }, ...attr },
  });
  const constant = (name: string, dtype: string) => ({
    ...{ name, op: "Const" },
    attr: { dtype: { type: dtype }, value: { tensor: { dtype, tensorShape: {} } } },
  });
  const int32 = { type: "DT_INT32" };
  const modelTopology = {
    node: [
      {
        ...{ name: "images", op: "Placeholder" },
        attr: {
          dtype: { type: "DT_FLOAT" },
          shape: { shape: { dim: [-1, SIDE, SIDE, 3].map((size) => ({ size: String(size) })) } },
        },
      },
      ...["kernel", "bias", "head"].map((name) => constant(name, "DT_FLOAT")),
      ...["zero", "first", "length"].map((name) => constant(name, "DT_INT32")),
      node("conv", "_FusedConv2D", ["images", "kernel", "bias"], {
        strides: { list: { i: ["1", "2", "2", "1"] } },
        dilations: { list: { i: ["1", "1", "1", "1"] } },
        padding: { s: Buffer.from("SAME").toString("base64") },
        data_format: { s: Buffer.from("NHWC").toString("base64") },
        fused_ops: { list: { s: ["BiasAdd", "Relu"].map((op) => Buffer.from(op).toString("base64")) } },
        num_args: { i: "1" },
        epsilon: { f: 0 },
      }),
      node("shape", "Shape", ["conv"], { out_type: int32 }),
      node("batch", "StridedSlice", ["shape", "zero", "first", "first"], {
        ...{ T: int32, Index: int32, shrink_axis_mask: { i: "1" } },
        ...{ begin_mask: { i: "0" }, end_mask: { i: "0" } },
        ...{ ellipsis_mask: { i: "0" }, new_axis_mask: { i: "0" } },
      }),
      node("size", "Pack", ["batch", "length"], { T: int32, N: { i: "2" }, axis: { i: "0" } }),
      node("flat", "Reshape", ["conv", "size"], { Tshape: int32 }),
      node("logits", "MatMul", ["flat", "head"], { transpose_a: { b: false }, transpose_b: { b: false } }),
    ],
    library: {},
    versions: { producer: 1882 },
  };
  const features = (SIDE / 2) ** 2 * 4;
  const head = Float32Array.from(noise(features * 5, 3), (byte) => (byte - 128) / 1000);
  const parts: [string, string, number[], Uint8Array][] = [
    ["kernel", "float32", [3, 3, 3, 4], noise(108)],
    ["bias", "float32", [4], bytesOf(Float32Array.of(0.1, -0.2, 0.3, 0))],
    ["head", "float32", [features, 5], bytesOf(head)],
    ["zero", "int32", [1], bytesOf(Int32Array.of(0))],
    ["first", "int32", [1], bytesOf(Int32Array.of(1))],
    ["length", "int32", [], bytesOf(Int32Array.of(features))],
  ];
  const weights = parts.map(([name, dtype, shape]) => ({
    ...{ name, dtype, shape },
    ...(name === "kernel" && { quantization: { dtype: "uint8", scale: 1 / 255, min: -0.5 } }),
  }));
  return write(
    { format: "graph-model", modelTopology, weightsManifest: [{ paths: ["weights.bin"], weights }] },
    Buffer.concat(parts.map(([, , , bytes]) => bytes)),
  );
}

function bytesOf(array: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(array.buffer);
}

const open = (path: string, o: object = {}) => {
  const written = { format: "tfjs", path, resolution: SIDE, valueRange: [-1, 1], ...o };
  return openNetwork(resolveModel(modelSchema.parse(written), join(folder, "teacher.yaml")), 1);
};

const data = noise(3 * SIDE * SIDE * 3);
async function answer(path: string, o: object, size: number): Promise<number[]> {
  const images = { dtype: "uint8" as const, shape: [3, SIDE, SIDE, 3] as const, data };
  const network = await open(path, o);
  const found = await network.compute({ size, slices: [{ images, from: 0, count: 3 }] });
  return [...found.subarray(0, 3 * network.facts.classes)];
}

/** The images as the networks take them. */
const scaled = () =>
  tf.tensor4d(
    Float32Array.from(data, (value) => (value / 255) * 2 - 1),
    [3, SIDE, SIDE, 3],
  );

function near(found: number[], expected: Float32Array): void {
  expect(found).toHaveLength(expected.length);
  found.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i]!, 4);
  });
}

describe("a tfjs model answers what tfjs computes", () => {
  test.each([3, 8])("LayersModel, in batches of %i", async (size) => {
    const { handler } = await readTfjsFiles(layersPath);
    const model = await layers.loadLayersModel(handler);
    const probabilities = (model.predict(scaled()) as tf.Tensor).dataSync<"float32">();
    near(await answer(layersPath, { outputs: "probabilities" }, size), probabilities.map(Math.log));
  });

  test.each([3, 8])("GraphModel, in batches of %i", async (size) => {
    const path = writeGraph();
    const { handler } = await readTfjsFiles(path);
    const model = await loadGraphModel(handler);
    const logits = (model.execute({ images: scaled() }, "logits") as tf.Tensor).dataSync<"float32">();
    expect(Math.max(...logits)).toBeGreaterThan(0.01);
    near(await answer(path, {}, size), logits);
  });

  test("and tells what it is", async () => {
    const { facts } = await open(writeGraph());
    expect(facts).toMatchObject({ classes: 5, parameters: 108 + 4 + 64 * 5 });
    expect(facts.runtime.architecture).toBe("tfjs graph images nhwc -> logits");
    expect((await open(layersPath)).facts.parameters).toBe(27 * 6 + 6 + 4 * 6 + 96 * 5 + 5);
  });
});

describe("refused, by name", () => {
  const graph = (change: (path: string) => void) => () => {
    const path = writeGraph();
    change(path);
    return path;
  };
  const json = (path: string, model: unknown) =>
    writeFileSync(join(path, "model.json"), JSON.stringify(model));
  test.each<[string, () => string, object, RegExp]>([
    ["no such directory", () => join(folder, "none"), {}, /there is no file .*model\.json/],
    [
      "weights that are cut off",
      graph((path) => truncateSync(join(path, "weights.bin"), 100)),
      {},
      /bytes shorter than/,
    ],
    [
      "weights that are too long",
      graph((path) => writeFileSync(join(path, "weights.bin"), new Uint8Array(9999))),
      {},
      /has 9999 bytes, .* expected at most/,
    ],
    [
      "weights that are missing",
      graph((path) => rmSync(join(path, "weights.bin"))),
      {},
      /there is no file .*weights\.bin/,
    ],
    [
      "a model.json that is cut off",
      graph((path) => truncateSync(join(path, "model.json"), 100)),
      {},
      /damaged or cut off/,
    ],
    ["another JSON", graph((path) => json(path, { a: 1 })), {}, /is no tfjs model: modelTopology/],
    [
      "weights elsewhere",
      graph((path) => json(path, { modelTopology: {}, weightsManifest: [{ paths: ["../x"], weights: [] }] })),
      {},
      /is no tfjs model: weightsManifest\.0\.paths\.0: expected files in the same directory/,
    ],
    [
      "weights larger than any file",
      graph((path) =>
        json(path, {
          modelTopology: {},
          weightsManifest: [
            { paths: ["weights.bin"], weights: [{ name: "w", shape: [2 ** 40], dtype: "float32" }] },
          ],
        }),
      ),
      {},
      /bytes shorter than/,
    ],
    ["no layers", graph((path) => json(path, { modelTopology: {} })), {}, /tfjs does not take it/],
    ["another resolution", graph(() => {}), { resolution: 9 }, /images of 9x9x3 do not fit/],
    [
      "no such output",
      graph(() => {}),
      { output: "probabilities" },
      /no output probabilities: there is logits/,
    ],
  ])("%s", async (_what, path, o, message) => {
    await expect(open(path(), o)).rejects.toThrow(message);
  });
});
