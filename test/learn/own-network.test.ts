import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadEngine } from "@funmatch/engine";
import { readNpz } from "@funmatch/models";
import { beforeAll, describe, expect, test } from "vitest";
import { codeSha256 } from "../../student-trainer/learn/module-code.ts";
import { type StudentInit, start } from "../../student-trainer/learn/student-worker.ts";
import { startFunmatch, temporaryFolder, writeRunConfig } from "../e2e/services.ts";
import { numbers } from "../engine/both-ways.ts";

beforeAll(async () => {
  await loadEngine();
});

const GUIDE = readFileSync(fileURLToPath(new URL("../../docs/students.md", import.meta.url)), "utf8");
const EXAMPLE = /```ts\n([\s\S]*?)```/.exec(GUIDE)![1]!;
const OPTIONS = { widths: [8, 16] };

/** A module of that text in a folder of its own. */
function moduleOf(text: string): string {
  const file = join(temporaryFolder("own"), "my-net.ts");
  writeFileSync(file, text);
  return file;
}

function initOf(file: string, more: object = {}): StudentInit {
  return {
    model: { kind: "module", file, resolution: 16, classes: 3, options: OPTIONS },
    ...{ resolution: 16, batch: 4, evaluationBatch: 2, seed: 1, accumulate: 1, compute: "float32" },
    ...{ teaching: "logits", distance: { kind: "kl", temperature: 1 } },
    optimizer: {
      ...{ kind: "adam", learningRate: 1e-2, weightDecay: 1e-4, decay: ".*/kernel$", clip: 1 },
      firstMoment: "float32",
    },
    ...more,
  } as StudentInit;
}

function request(step: number) {
  const images = Uint8Array.from(numbers(step, 4 * 16 * 16 * 3), (u) => Math.floor((u + 1) * 128));
  return { images, targets: numbers(1000 + step, 12).map((u) => 3 * u), step, multiplier: 1 };
}

describe("the guide's example", () => {
  test("is no longer than 40 lines", () => {
    expect(EXAMPLE.trimEnd().split("\n").length).toBeLessThanOrEqual(40);
  });

  test("learns, goes on bit for bit, keeps running statistics, begins from a file", async () => {
    const folder = temporaryFolder("own-state");
    const file = moduleOf(EXAMPLE);
    const [stateFile, initFile] = [join(folder, "state.npz"), join(folder, "student.npz")];
    const straight = await start(initOf(file));
    for (let step = 1; step <= 10; step++) straight.step(request(step));
    await straight.save({ path: stateFile });
    const wanted = [11, 12].map((step) => straight.step(request(step)));
    const resumed = await start(initOf(file, { stateFile }));
    expect([11, 12].map((step) => resumed.step(request(step)))).toEqual(wanted);
    expect(resumed.describe({})).toEqual(straight.describe({}));

    const state = await readNpz(stateFile);
    expect(Math.max(...(state.get("params/bn0/mean")!.data as Float32Array).map(Math.abs))).toBeGreaterThan(
      0,
    );
    expect(state.has("mu/bn0/mean")).toBe(false);

    await straight.exportWeights({ path: initFile });
    const begun = await start(initOf(file, { initFile }));
    const images = request(60).images.subarray(0, 2 * 16 * 16 * 3);
    expect(begun.forward({ images })).toEqual(straight.forward({ images }));
    const model = { ...initOf(file).model, classes: 5 };
    expect((await start(initOf(file, { model, initFile }))).forward({ images }).logits).toEqual(
      new Float32Array(10),
    );

    const losses = Array.from({ length: 40 }, (_, i) => straight.step({ ...request(1), step: 13 + i }).loss);
    expect(losses.at(-1)!, "a batch is learned by heart").toBeLessThan(wanted[0]!.loss / 2);
  }, 60_000);

  test("is trained, evaluated and gone on with by funmatch, but not after its code has changed", async () => {
    const folder = temporaryFolder("own-run");
    await mkdir(join(folder, "nets"));
    const file = join(folder, "nets", "my-net.ts");
    writeFileSync(file, EXAMPLE);
    const config = (student: object, more: object = {}) =>
      writeRunConfig(folder, {
        ...{ run: "run", data: { train: { fashion: "validation" }, validation: { fashion: "validation" } } },
        ...{ design: "labels", batch: 32, length: { steps: 20 }, optimizer: { learningRate: 1e-2 } },
        student: { model: "module", resolution: 16, options: OPTIONS, ...student },
        evaluate: { everySteps: 20, splits: ["validation"], batch: 500 },
        ...{ checkpoint: { everySteps: 10 }, compute: "bfloat16", workers: 1, threads: 1, ...more },
      });
    const last = join(folder, "run", "checkpoints", "step-000000020");
    const first = await startFunmatch(["train", config({ file: "nets/my-net.ts" })]).finished;
    expect(first.code, first.output).toBe(0);
    const summary = JSON.parse(readFileSync(join(folder, "run", "summary.json"), "utf8"));
    expect(summary.student.accuracy.validation).toBeGreaterThan(0.14);
    const wanted = readFileSync(join(last, "state.npz"));
    const audited = await startFunmatch(["audit", join(folder, "run")]).finished;
    expect(audited.code, audited.output).toBe(0);

    // The module may move.
    await cp(file, join(folder, "moved.ts"));
    rmSync(join(folder, "nets"), { recursive: true });
    rmSync(last, { recursive: true });
    const again = await startFunmatch(["train", config({ file: "moved.ts" })]).finished;
    expect(again.code, again.output).toBe(0);
    expect(readFileSync(join(last, "state.npz")).equals(wanted)).toBe(true);
    const evaluated = await startFunmatch(["eval", join(folder, "run")]).finished;
    expect(evaluated.code, evaluated.output).toBe(0);
    const begun = await startFunmatch(["train", config({ file: "moved.ts", init: "run" }, { run: "next" })])
      .finished;
    expect(begun.code, begun.output).toBe(0);

    writeFileSync(join(folder, "moved.ts"), EXAMPLE.replace("1e-3", "1e-5"));
    for (const args of [
      ["train", config({ file: "moved.ts" })],
      ["eval", join(folder, "run")],
    ]) {
      const { code, output } = await startFunmatch(args).finished;
      expect(code).toBe(2);
      expect(output).toMatch(
        /^funmatch: .*moved\.ts, or a file that it imports, is not the code that .*run began/,
      );
    }
  }, 180_000);
});

test("the digest is of the module and of what it imports from beside it, wherever they lie", async () => {
  const written = async (block: string) => {
    const folder = temporaryFolder("own-code");
    await mkdir(join(folder, "parts"));
    writeFileSync(join(folder, "net.ts"), 'import { block } from "./parts/block.ts"; import "node:fs";');
    writeFileSync(join(folder, "parts", "block.ts"), `export { wide } from '../wide.ts'; // ${block}`);
    writeFileSync(join(folder, "wide.ts"), 'export const wide = (await import("./net.ts")).wide;');
    return codeSha256(join(folder, "net.ts"));
  };
  expect(await written("one")).toMatch(/^[0-9a-f]{64}$/);
  expect(await written("one")).toBe(await written("one"));
  expect(await written("one")).not.toBe(await written("two"));
});

const INIT = `export const init = ({ classes }) => ({
  "head/kernel": { shape: [3, classes], values: new Array(3 * classes).fill(0.5) },
  "head/bias": { shape: [classes], values: new Array(classes).fill(0) },
});`;
const APPLY = `export function apply(params, x, { tf }) {
  return tf.add(tf.matMul(tf.mean(x, [1, 2]), params["head/kernel"]), params["head/bias"]);
}`;

describe("a module that is wrong is refused in one line", () => {
  test("but this one is right", async () => {
    const student = await start(initOf(moduleOf(`${INIT}\n${APPLY}`)));
    expect(student.describe({}).parameters).toBe(12);
  });

  test.each([
    ["no apply", INIT, /my-net\.ts exports no function apply \(it exports init\)/],
    ["not a module", "export const init = ;", /my-net\.ts(:\d+)? cannot be loaded: /],
    ["no parameters", `export const init = () => 3; ${APPLY}`, /init: expected \{ name: \{ shape, values \}/],
    [
      "values that do not fill a shape",
      `export const init = () => ({ "a/kernel": { shape: [2, 3], values: [1] } }); ${APPLY}`,
      /init: a\/kernel has 1 values, its shape \[2,3\] takes 6/,
    ],
    [
      "a number that is none",
      `export const init = () => ({ "a/kernel": { shape: [2], values: [1, 0 / 0] } }); ${APPLY}`,
      /init: a\/kernel\[1\] is NaN/,
    ],
    [
      "a path that leaves a folder",
      `export const init = () => ({ "../a": { shape: [1], values: [1] } }); ${APPLY}`,
      /init: "\.\.\/a" is no name for a parameter/,
    ],
    [
      "numbers of its own",
      `export const init = () => ({ a: { shape: [1], values: [Math.random()] } }); ${APPLY}`,
      /init: a has other values the second time: draw numbers by normal/,
    ],
    [
      "logits of another shape",
      `${INIT}\nexport const apply = (p, x, { tf }) => tf.mul(tf.mean(x, [1, 2, 3]), tf.sum(p["head/kernel"]));`,
      /apply: the logits are float32 \[4\], expected float32 \[4,3\]/,
    ],
    [
      "what is wrong in inference alone",
      `${INIT}\n${APPLY.replace("{ tf })", "{ tf, training })").replace("return", "if (!training) throw new Error('not yet');\n  return")}`,
      /apply: not yet/,
    ],
    [
      "features that are none",
      `${INIT}\n${APPLY.replace("return tf.add", "return ((logits) => ({ logits, preLogits: x }))(tf.add").replace(");\n}", "));\n}")}`,
      /apply: preLogits is no tensor \[4,C\]/,
    ],
    ["a promise", `${INIT}\nexport const apply = async () => 3;`, /apply: expected it to return the logits/],
    [
      "values read back",
      `${INIT}\nexport function apply(params, x) {\n  return x.dataSync();\n}`,
      /my-net\.ts:6: apply: Tensor\.dataSync\(\) reads the values of the result of Add/,
    ],
    [
      "an error of its own",
      `${INIT}\nexport function apply(params, x, { tf }) {\n  return tf.relu(params["head/kernal"]);\n}`,
      /my-net\.ts:6: apply: Argument 'x' .* \(it asked for head\/kernal, which init did not make\)/,
    ],
    [
      "a parameter that is never used",
      `${INIT}\n${APPLY.replace(', params["head/bias"]', ", 0")}`,
      /my-net\.ts: apply never uses head\/bias, which init made/,
    ],
    [
      "a parameter without a gradient",
      `${INIT}\n${APPLY.replace('params["head/bias"]', 'params["head/bias"].shape[0]')}`,
      /apply: no gradient of the logits reaches head\/bias/,
    ],
    [
      "an operation without a gradient",
      `${INIT}\n${APPLY.replace('params["head/bias"]', 'tf.cast(tf.greater(params["head/bias"], 0), "float32")')}`,
      /apply: the way from parameters to logits has no gradient at \w+/,
    ],
    [
      "running statistics that stay where they are",
      `${INIT.replace("({\n", '({ "bn/mean": { shape: [2], values: [0, 0] },\n')}\n${APPLY}`,
      /apply: in training it has to return the new value of bn\/mean/,
    ],
  ])("%s", async (_, text, message) => {
    const wrong = start(initOf(moduleOf(text)));
    await expect(wrong).rejects.toThrow(message);
    await expect(wrong).rejects.toMatchObject({ name: "UserError" });
  });

  test("a file that is not there, and one that it imports", async () => {
    const folder = temporaryFolder("own-missing");
    const path = writeRunConfig(folder, {
      ...{ run: "run", data: { train: { fashion: "validation" } }, design: "labels", batch: 8 },
      ...{ length: { steps: 1 }, optimizer: { learningRate: 1e-3 } },
      student: { model: "module", file: "net.js", resolution: 16 },
    });
    const { code, output } = await startFunmatch(["train", path]).finished;
    expect(code).toBe(2);
    expect(output).toBe(`funmatch: student.file: ${join(folder, "net.js")} cannot be read (ENOENT)\n`);
    writeFileSync(join(folder, "net.js"), 'import { wide } from "./wide.js";');
    expect((await startFunmatch(["train", path]).finished).output).toMatch(
      /^funmatch: .*net\.js cannot be loaded: Cannot find module '.*wide\.js'/m,
    );
  });
});
