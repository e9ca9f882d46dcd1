import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readNpz } from "@funmatch/models";
import protobuf from "protobufjs";
import { beforeAll, describe, expect, test } from "vitest";
import { modelSchema, resolveModel } from "../../teacher-service/config/model-config.ts";
import { openNetwork } from "../../teacher-service/formats/open.ts";

/** A small network that Keras 3 exported (savedmodel_golden.py), and Keras's own answers. */
const golden = fileURLToPath(new URL("./golden/savedmodel", import.meta.url));
const SIDE = 16;
let answers: Awaited<ReturnType<typeof readNpz>>;
beforeAll(async () => {
  answers = await readNpz(`${golden}.npz`);
});

function open(path: string, o: object = {}) {
  const written = {
    ...{ format: "savedmodel", path, resolution: SIDE, valueRange: [0, 255], output: "logits" },
    ...o,
  };
  return openNetwork(resolveModel(modelSchema.parse(written), "teacher.yaml"), 1);
}

async function logits(o: object = {}): Promise<Float32Array> {
  const network = await open(golden, o);
  const data = new Uint8Array(answers.get("pixels")!.data as Uint8Array);
  const images = { dtype: "uint8" as const, shape: [5, SIDE, SIDE, 3] as const, data };
  return network.compute({ size: 8, slices: [{ images, from: 0, count: 5 }] });
}

function difference(found: Float32Array, expected: Float32Array): number {
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0);
}

describe("a SavedModel that Keras exported", () => {
  test("answers Keras's logits", async () => {
    const expected = answers.get("logits")!.data as Float32Array;
    expect(Math.max(...expected)).toBeGreaterThan(0.1);
    expect(difference(await logits(), expected)).toBeLessThan(1e-5);
  });

  test("answers the logarithm of its probabilities", async () => {
    const found = await logits({ output: "probabilities", outputs: "probabilities" });
    const expected = (answers.get("probabilities")!.data as Float32Array).map(Math.log);
    expect(difference(found, expected)).toBeLessThan(1e-5);
  });

  test("tells what it is", async () => {
    const { facts } = await open(golden);
    expect(facts.classes).toBe(5);
    // Convolution, norm with its statistics, depthwise convolution, head.
    expect(facts.parameters).toBe(27 * 8 + 4 * 8 + 9 * 8 + 8 + 8 * 5 + 5);
    expect(facts.runtime.architecture).toBe("savedmodel images nhwc -> logits");
  });

  test("has the version of its files and rules, wherever they lie", async () => {
    const copy = copied();
    const { version } = (await open(golden)).facts;
    expect((await open(copy)).facts.version).toBe(version);
    expect((await open(copy, { signature: "serve" })).facts.version).not.toBe(version);
    expect((await open(copy, { channelOrder: "bgr" })).facts.version).not.toBe(version);
  });
});

const folder = mkdtempSync(join(tmpdir(), "funmatch-savedmodel-"));
let copies = 0;
function copied(change: (path: string) => void = () => {}): string {
  const path = join(folder, String(++copies));
  cpSync(golden, path, { recursive: true });
  change(path);
  return path;
}

/** A SavedModel with one operation and a signature. */
function withOperation(op: string): Uint8Array {
  const { root } = protobuf.parse(`
syntax = "proto3";
message SavedModel { repeated MetaGraph g = 2; }
message MetaGraph { Info i = 1; Graph graph = 2; map<string, Signature> s = 5; }
message Info { repeated string tags = 4; }
message Graph { Library library = 2; }
message Library { repeated Function function = 1; }
message Function { repeated Node node = 3; }
message Node { string name = 1; string op = 2; }
message Signature { string method = 3; }
`);
  return root
    .lookupType("SavedModel")
    .encode({
      g: [
        {
          i: { tags: ["serve"] },
          graph: { library: { function: [{ node: [{ name: "n", op }] }] } },
          s: { serving_default: {} },
        },
      ],
    })
    .finish();
}

describe("refused, by name", () => {
  const pb = "saved_model.pb";
  test.each<[string, (path: string) => void, object, RegExp]>([
    ["no such directory", (path) => rmSync(path, { recursive: true }), {}, /is no SavedModel/],
    ["no graph in it", (path) => rmSync(join(path, pb)), {}, /there is no saved_model\.pb in it/],
    ["a graph that is cut off", (path) => truncateSync(join(path, pb), 30_000), {}, /damaged or cut off/],
    ["a graph that is text", (path) => writeFileSync(join(path, pb), "hello"), {}, /damaged|holds no graph/],
    [
      "variables that are cut off",
      (path) => truncateSync(join(path, "variables/variables.data-00000-of-00001"), 100),
      {},
      /TensorFlow does not take it/,
    ],
    [
      "variables that are damaged",
      (path) => {
        const file = join(path, "variables/variables.data-00000-of-00001");
        const bytes = readFileSync(file);
        bytes.fill(255, 1000, 1100);
        writeFileSync(file, bytes);
      },
      {},
      /TensorFlow does not take it: .*Checksum/,
    ],
    [
      "another signature",
      () => {},
      { signature: "predict" },
      /no signature predict: there is .*serving_default/,
    ],
    ["no such output", () => {}, { output: "logit" }, /no output logit: there is .*logits/],
    ["another resolution", () => {}, { resolution: 32 }, /is \[\?,16,16,3\]: images of 32x32x3 do not fit/],
    [
      "an operation that writes files",
      (path) => writeFileSync(join(path, pb), withOperation("WriteFile")),
      {},
      /holds the operation WriteFile/,
    ],
    [
      "an operation that runs Python",
      (path) => writeFileSync(join(path, pb), withOperation("EagerPyFunc")),
      {},
      /holds the operation EagerPyFunc/,
    ],
  ])("%s", async (_what, change, o, message) => {
    await expect(open(copied(change), o)).rejects.toThrow(message);
  });
});
