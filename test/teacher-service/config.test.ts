import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openSecrets, readTeacherConfig } from "../../teacher-service/config/config.ts";
import { membersOf } from "../../teacher-service/config/model-config.ts";

const directory = mkdtempSync(join(tmpdir(), "funmatch-teacher-config-"));
const MODEL =
  "models: { prof: { format: npz, path: weights/teacher.npz, resolution: 64, valueRange: [-1, 1] } }\n";

const ONNX = MODEL.replace("npz,", "onnx,");

function read(yaml: string) {
  const path = join(directory, "teacher.yaml");
  writeFileSync(path, yaml);
  return readTeacherConfig(path);
}

describe("the teacher's config", () => {
  test("needs only a model; paths are relative to the file", () => {
    const config = read(MODEL);
    expect(config.listen).toEqual({ host: "127.0.0.1", port: 8500 });
    expect(config.models.prof).toMatchObject({ path: join(directory, "weights/teacher.npz") });
    expect(config.limits.maxBodyBytes).toBe(64 * 2 ** 20);
    expect(config.batchSizes).toEqual([1, 8, 16, 32, 64, 128]);
  });

  test("labels may be in a file: a name a line, or a JSON list", () => {
    const withLabels = (text: string) => {
      writeFileSync(join(directory, "labels.txt"), text);
      return read(MODEL.replace("npz,", "npz, labels: labels.txt,")).models.prof!.labels;
    };
    expect(withLabels("dress\nhat\r\nt-shirt\n")).toEqual(["dress", "hat", "t-shirt"]);
    expect(withLabels('["dress", "hat"]')).toEqual(["dress", "hat"]);
    expect(() => withLabels("[1, 2]")).toThrow("labels.txt: expected a JSON list of names");
    expect(() => read(MODEL.replace("npz,", "npz, labels: none.txt,"))).toThrow("cannot read the labels");
  });

  test("resize is a rule, or yes or no", () => {
    const rule = (text: string) =>
      membersOf(read(MODEL.replace("npz,", `npz, resize: ${text},`)).models.prof!)[0]!.resize;
    expect(["true", "false", "antialias"].map(rule)).toEqual(["bilinear", "none", "antialias"]);
  });

  test("batch sizes are sorted and unique", () => {
    expect(read(`${MODEL}batchSizes: [64, 8, 64]`).batchSizes).toEqual([8, 64]);
  });

  test.each([
    [`${MODEL}tokns: [a]`, 'unknown key "tokns": did you mean "tokens"?'],
    [
      MODEL.replace("valueRange", "valuerange"),
      'unknown key "models.prof.valuerange": did you mean "valueRange"?',
    ],
    [MODEL.replace("[-1, 1]", "[1, -1]"), "models.prof.valueRange: the first number must be the smaller one"],
    [
      MODEL.replace("npz,", "torch,"),
      "models.prof.format: expected one of npz, onnx, savedmodel, tfjs, ensemble",
    ],
    [ONNX.replace("valueRange", "mean"), "models.prof.mean"],
    [
      ONNX.replace(", valueRange: [-1, 1]", ""),
      "models.prof.valueRange: give either valueRange, or mean and std",
    ],
    [ONNX.replace("onnx,", "onnx, chanelOrder: bgr,"), 'did you mean "channelOrder"?'],
    ["models: {}", "at least one model is needed"],
    ["listen: { port: 99999 }", "listen.port"],
    [`${MODEL}limits: { queueBytes: 10 }`, "limits.queueBytes: must be at least maxBodyBytes"],
    [`${MODEL}limits: { timeoutMs: 3000000000 }`, "limits.timeoutMs"], // Node's timers would fire at once
  ])("%s is refused in plain words", (yaml, message) => {
    expect(() => read(yaml)).toThrow(message);
  });

  test("secrets come from the environment, and a missing one is named", () => {
    process.env.TEST_TEACHER_TOKEN = "abc";
    expect(openSecrets(read(`${MODEL}tokens: ["env:TEST_TEACHER_TOKEN"]`)).tokens).toEqual(["abc"]);
    expect(() => openSecrets(read(`${MODEL}tokens: ["env:TEST_NOT_SET"]`))).toThrow("TEST_NOT_SET");
  });

  test("a service without secrets stays on loopback", () => {
    expect(() => openSecrets(read(`${MODEL}listen: { host: 0.0.0.0 }`))).toThrow(
      "needs tokens, keys or identity",
    );
    openSecrets(read(`${MODEL}listen: { host: "::1" }`));
    openSecrets(read(`${MODEL}listen: { host: 0.0.0.0 }\ntokens: [abc]`));
  });
});
