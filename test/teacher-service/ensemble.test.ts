import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { modelSchema, resolveModel } from "../../teacher-service/config/model-config.ts";
import { openNetwork } from "../../teacher-service/formats/open.ts";
import { asLogits, combined } from "../../teacher-service/forward/output-rule.ts";
import { pictureOf } from "../../teacher-service/life/picture.ts";
import { meansNetwork } from "./tiny-onnx.ts";
import { noise, writeTeacher } from "./tiny-teacher.ts";

const folder = mkdtempSync(join(tmpdir(), "funmatch-ensemble-"));
let files = 0;
function onnx(o: Partial<Parameters<typeof meansNetwork>[0]> = {}): string {
  const path = join(folder, `${++files}.onnx`);
  const kernel = [0, 1, 2].map((c) => Array.from({ length: 7 }, (_, k) => Math.sin(3 * c + k)));
  writeFileSync(path, meansNetwork({ kernel, bias: [1, 2, 3, 4, 5, 6, 7], ...o }));
  return path;
}
const configOf = (o: object) => resolveModel(modelSchema.parse(o), join(folder, "teacher.yaml"));
const small = (path = onnx()) => ({
  format: "onnx",
  path,
  resolution: 8,
  valueRange: [-1, 1],
  output: "logits",
});

describe("an ensemble", () => {
  const data = noise(3 * 32 * 32 * 3);
  const images = { dtype: "uint8" as const, shape: [3, 32, 32, 3] as const, data };
  const pass = { size: 4, input: "uint8" as const, slices: [{ images, from: 0, count: 3 }] };

  test.each(["probabilities", "logits"] as const)(
    "of an ONNX file and weights of ours averages their %s",
    async (combine) => {
      const { weightsPath } = await writeTeacher({});
      const members = {
        small: small(),
        large: { format: "npz", path: weightsPath, resolution: 32, valueRange: [0, 1] },
      };
      const config = configOf({ format: "ensemble", members, combine });
      expect(pictureOf(config)).toEqual({ resolution: 32, valueRange: [-1, 1], resizes: true });
      const whole = await openNetwork(config, 1);
      const parts = await Promise.all(Object.values(members).map((each) => openNetwork(configOf(each), 1)));
      const answers = await Promise.all(parts.map((each) => each.compute(pass)));
      expect(await whole.compute(pass)).toEqual(combined(answers, 7, combine));
      expect(whole.facts).toMatchObject({
        classes: 7,
        parameters: parts[0]!.facts.parameters + parts[1]!.facts.parameters,
        runtime: { combine, versionOf: "members", architecture: expect.stringContaining("small: onnx") },
      });
    },
  );

  test("has another version with another member, name or way of combining", async () => {
    const [a, b, c] = [small(), small(), { ...small(), channelOrder: "bgr" }];
    const versions = await Promise.all(
      [
        { members: { a, b } },
        { members: { b, a } },
        { members: { a, c } },
        { members: { a, c: b } },
        { members: { a, b }, combine: "logits" },
      ].map(async (o) => (await openNetwork(configOf({ format: "ensemble", ...o }), 1)).facts.version),
    );
    expect(versions[1]).toBe(versions[0]);
    expect(new Set(versions).size).toBe(4);
  });

  test("of members that do not fit each other is refused", async () => {
    const open = (a: object, b: object) =>
      openNetwork(configOf({ format: "ensemble", members: { a, b } }), 1);
    const other = small(
      onnx({
        bias: [0, 0],
        kernel: [
          [1, 1],
          [1, 1],
          [1, 1],
        ],
      }),
    );
    await expect(open(small(), other)).rejects.toThrow("members a and b have 7 and 2 classes");
    const fixed = (batch: number) => small(onnx({ batch, side: 8 }));
    await expect(open(fixed(4), fixed(8))).rejects.toThrow("no batch size in common");
    expect((await open(fixed(4), small())).facts.batchSizes).toEqual([4]);
    await expect(open(small("none.onnx"), small())).rejects.toThrow("member a: there is no file");
    expect(() => open({ ...small(), resize: false }, { ...small(), resolution: 9 })).toThrow(
      "must all resize",
    );
    expect(() => configOf({ format: "ensemble", members: { a: small() } })).toThrow("two members or more");
  });
});

describe("answers of several networks", () => {
  test("as the logarithm of the mean of their probabilities", () => {
    const [a, b] = [
      [0.7, 0.2, 0.1],
      [0.1, 0.6, 0.3],
    ] as const;
    const logits = (row: readonly number[], shift: number) =>
      Float32Array.from(row, (p) => Math.log(p) + shift);
    const found = combined([logits(a, 5), logits(b, -100)], 3, "probabilities");
    [0.4, 0.4, 0.2].forEach((p, i) => {
      expect(found[i]).toBeCloseTo(Math.log(p), 5);
    });
  });

  test("as the mean of their logits", () => {
    expect([...combined([Float32Array.of(1, 2), Float32Array.of(3, -2)], 2, "logits")]).toEqual([2, 0]);
  });

  test("of large logits overflow nowhere, and NaN stays NaN", () => {
    const found = combined([Float32Array.of(1e30, 0), Float32Array.of(0, 0)], 2, "probabilities");
    expect(found[0]).toBeCloseTo(Math.log(0.75), 5);
    expect(found[1]).toBeCloseTo(Math.log(0.25), 5);
    expect(combined([Float32Array.of(Number.NaN, 0)], 2, "probabilities")[0]).toBeNaN();
    expect(asLogits(Float32Array.of(Number.NaN, 0, 1), "probabilities")[0]).toBeNaN();
  });
});
