import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Teacher } from "../../student-trainer/teach/client.ts";
import { oipAddress } from "../../student-trainer/teach/oip/address.ts";
import { openOipTeacher } from "../../student-trainer/teach/oip/client.ts";
import { decodeInfer } from "../../student-trainer/teach/oip/messages.ts";
import { oipSchema } from "../../student-trainer/teachers.ts";
import { pythonServer } from "../e2e/python.ts";
import { someViews } from "./batches.ts";

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const patience = { attempts: 1, firstDelayMs: 5 };

interface Served {
  binary: boolean;
  datatype: "UINT8" | "FP32" | "INT64";
  layout: "nhwc" | "nchw";
  shape: number[];
  kind: "logits" | "probabilities";
  output: "FP32" | "FP64";
  versions: string[];
}

/** Starts the small Python server; answers the URL of its models. */
async function serve(served: Partial<Served>): Promise<string> {
  const layout = served.layout ?? "nhwc";
  const shape = layout === "nhwc" ? [-1, -1, -1, 3] : [-1, 3, -1, -1];
  const options = { binary: true, datatype: "UINT8", kind: "logits", output: "FP32", versions: ["1"] };
  const all = { ...options, layout, shape, ...served };
  const server = await pythonServer(script("oip-server.py"), [JSON.stringify(all)]);
  onTestFinished(() => server.stop());
  return `oip+http://127.0.0.1:${server.line}/v2/models`;
}

/** Opens its model. */
async function opened(served: Partial<Served>, hints: object = {}, more: object = {}): Promise<Teacher> {
  const url = `${await serve(served)}/mean`;
  const options = { url, hints: oipSchema.parse(hints), resolution: 4, patience };
  const teacher = await openOipTeacher({ ...options, ...more });
  onTestFinished(() => teacher.close());
  return teacher;
}

const WEIGHTS = Array.from({ length: 15 }, (_, i) => (((i * 7) % 11) - 5) / 10);

/** What the server's model says, of pixels that `value` was made of. */
function expected(images: Uint8Array, value: (pixel: number, channel: number) => number): number[] {
  return Array.from({ length: images.length / 48 }, (_, n) => {
    const means = [0, 1, 2].map((c) => {
      let sum = 0;
      for (let p = 0; p < 16; p++) sum += value(images[n * 48 + p * 3 + c]!, c);
      return sum / 16;
    });
    return Array.from({ length: 5 }, (_, k) =>
      means.reduce((sum, mean, c) => sum + mean * WEIGHTS[c * 5 + k]!, 0),
    );
  }).flat();
}

function near(found: Float32Array, wanted: number[]): void {
  expect(found.length).toBe(wanted.length);
  for (const [i, value] of wanted.entries()) expect(found[i]).toBeCloseTo(value, 3);
}

const call = { purpose: "train" as const, requestId: "step-1" };
const asIs = (pixel: number) => pixel;

test.each([
  ["bytes of uint8", {}, {}, asIs],
  ["JSON, where the server does not know the binary extension", { binary: false }, {}, asIs],
  ["channels first", { layout: "nchw" }, {}, asIs],
  [
    "floats in a value range, fp64 out",
    { datatype: "FP32", layout: "nchw", output: "FP64" },
    { valueRange: [-1, 1] },
    (pixel: number) => pixel / 127.5 - 1,
  ],
  [
    "floats as JSON, by mean and standard deviation",
    { datatype: "FP32", binary: false },
    { mean: [0.5, 0.4, 0.3], std: [0.2, 0.25, 0.5] },
    (pixel: number, c: number) => (pixel / 255 - [0.5, 0.4, 0.3][c]!) / [0.2, 0.25, 0.5][c]!,
  ],
  [
    "a shape that leaves the layout open",
    { datatype: "FP32", shape: [-1, -1, -1, -1], layout: "nchw" },
    { layout: "nchw" },
    asIs,
  ],
] as [string, Partial<Served>, object, (pixel: number, channel: number) => number][])(
  "%s",
  async (_, served, hints, value) => {
    const teacher = await opened(served, hints);
    const views = await someViews(3);
    const { logits, version } = await teacher.ask(views, call);
    near(logits, expected(views.data, value));
    expect(version).toBe("oip:mean:1");
    expect(teacher.echoesDigest).toBe(false);
    expect(teacher.card).toMatchObject({ id: "mean", classes: 5, bitStable: false });
  },
);

test("a model of a fixed batch and size: fewer images are filled up, its limits and size are told", async () => {
  const teacher = await opened({ shape: [4, 4, 4, 3] });
  expect(teacher.limits.maxImages).toBe(4);
  expect(teacher.card.input).toMatchObject({ resolution: 4, resizes: false });
  const views = await someViews(3);
  near((await teacher.ask(views, call)).logits, expected(views.data, asIs));
});

test("probabilities are learned from as their logarithms", async () => {
  const teacher = await opened({ kind: "probabilities" }, { outputKind: "probabilities" });
  const views = await someViews(2);
  const { logits } = await teacher.ask(views, call);
  const wanted = expected(views.data, asIs);
  for (let n = 0; n < 2; n++) {
    const row = wanted.slice(n * 5, n * 5 + 5);
    const norm = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
    near(
      logits.subarray(n * 5, n * 5 + 5),
      row.map((value) => Math.max(value - norm, Math.log(1e-8))),
    );
  }
});

describe("what it refuses", () => {
  test("logits that were said to be probabilities", async () => {
    const teacher = await opened({}, { outputKind: "probabilities" });
    await expect(teacher.ask(await someViews(2), call)).rejects.toThrow(
      /no probabilities: set oip.outputKind/,
    );
  });

  test.each([
    [{ datatype: "INT64" }, {}, /its input images takes INT64: images can be sent as UINT8 or FP32/],
    [{ shape: [-1, -1, -1, -1] }, {}, /say oip.layout, nhwc or nchw/],
    [{ shape: [-1, 12] }, {}, /has shape \[-1,12\]: batches of images/],
    [{}, { input: "pixels" }, /has no input "pixels", but images/],
    [{}, { classes: 7 }, /has shape \[-1,5\], which is not oip.classes = 7/],
  ] as [Partial<Served>, object, RegExp][])("metadata %o with %o", async (served, hints, message) => {
    await expect(opened(served, hints)).rejects.toThrow(message);
  });

  test("another version than the run began with; one that is not there", async () => {
    await expect(opened({ versions: ["2"] }, {}, { pinnedVersion: "oip:mean:1" })).rejects.toThrow(
      /serves oip:mean:2, but this run began with oip:mean:1/,
    );
    const url = `${await serve({})}/other`;
    await expect(
      openOipTeacher({ url, hints: oipSchema.parse({}), resolution: 4, patience }),
    ).rejects.toThrow(/no such model/);
  });

  test("an answer that is cut off, is no JSON, or lacks the output", () => {
    const head = JSON.stringify({
      outputs: [{ name: "scores", datatype: "FP32", shape: [1, 2], parameters: { binary_data_size: 8 } }],
    });
    const read = (json: string, length: number, rest: number, output = "scores") =>
      decodeInfer(
        "t",
        {
          status: 200,
          headers: new Headers({ "inference-header-content-length": String(length) }),
          bytes: Buffer.concat([Buffer.from(json), Buffer.alloc(rest)]),
        },
        output,
      );
    expect([...(read(head, head.length, 8).values as Float32Array)]).toEqual([0, 0]);
    expect(() => read(head, head.length, 7)).toThrow(/scores is cut off/);
    expect(() => read(head, head.length + 20, 8)).toThrow(/inference-header-content-length is/);
    expect(() => read(head, head.length - 2, 8)).toThrow(/not JSON/);
    expect(() => read(head, head.length, 8, "logits")).toThrow(/no output logits/);
  });
});

test("its URL names a model, perhaps with a version, and nothing else", () => {
  expect(oipAddress("oip+https://triton.example/ml/v2/models/resnet/versions/3")).toMatchObject({
    ...{ origin: "https://triton.example", root: "/ml/v2", model: "resnet" },
    path: "/ml/v2/models/resnet/versions/3",
  });
  for (const url of [
    "oip+http://h/v1/models/x",
    "oip+http://h/v2/models",
    "oip+http://h/v2/models/x?a=b",
    "oip+ftp://h/v2/models/x",
    "oip+http://u:p@h/v2/models/x",
  ])
    expect(() => oipAddress(url), url).toThrow(/^teacher .*(expected a URL|carries no key)/);
});

/** A Python that has `kserve` (0.21.0 was tried): its install is too large for every test run. */
const kserve = process.env.FUNMATCH_KSERVE_PYTHON;
test.skipIf(!kserve)(
  "KServe's own server (skipped unless FUNMATCH_KSERVE_PYTHON names a Python with kserve)",
  async () => {
    const port = 20_000 + (process.pid % 10_000);
    const server = await pythonServer(script("kserve-server.py"), [String(port)], { program: kserve });
    onTestFinished(() => server.stop());
    const url = `oip+http://127.0.0.1:${port}/v2/models/mean`;
    for (const binary of [undefined, true]) {
      const hints = oipSchema.parse({ binary });
      const teacher = await openOipTeacher({
        url,
        hints,
        resolution: 4,
        patience: { attempts: 9, firstDelayMs: 500 },
      });
      const views = await someViews(3);
      near((await teacher.ask(views, call)).logits, expected(views.data, asIs));
      expect(teacher.card.runtime).toMatchObject({
        server: "kserve 0.21.0",
        tensors: binary ? "bytes" : "JSON",
      });
      await teacher.close();
      await sleep(10);
    }
  },
  60_000,
);
