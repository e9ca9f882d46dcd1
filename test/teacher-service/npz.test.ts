import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadEngine } from "@funmatch/engine";
import { type NetworkConfig, networkOf, valueRange, vitVariant, writeNpz } from "@funmatch/models";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { modelSchema, resolveModel } from "../../teacher-service/config/model-config.ts";
import { openNetwork } from "../../teacher-service/formats/open.ts";
import { noise } from "./tiny-teacher.ts";

beforeAll(() => loadEngine());

const SIDE = 32;
const folder = mkdtempSync(join(tmpdir(), "funmatch-students-"));
const image: [number, number] = [SIDE, SIDE];
const students: NetworkConfig[] = [
  { kind: "bit", blocks: [1, 1], width: 0.5, classes: 4 },
  { kind: "mobilenetv3", size: "small", width: 0.25, momentum: 0.99, classes: 4 },
  {
    kind: "vit",
    ...vitVariant("Ti"),
    depth: 2,
    patch: 8,
    positions: "learn",
    pool: "map",
    image,
    classes: 4,
  },
];

test.each(students)(
  "what a $kind student learned it teaches: its student.npz and its checkpoint's state.npz",
  async (config) => {
    const network = networkOf(config);
    const weights = Object.entries(network.shapes()).map(([name, shape], i) => {
      const length = shape.reduce((product, size) => product * size, 1);
      const low = name.endsWith("/variance") ? 0.5 : -0.25;
      return [name, shape, Float32Array.from(noise(length, i + 1), (byte) => low + byte / 512)] as const;
    });
    const arrays = (prefix: string) =>
      Object.fromEntries(
        weights.map(([name, shape, data]) => [
          `${prefix}${name}`,
          { dtype: "float32" as const, shape, data },
        ]),
      );
    await writeNpz(join(folder, "student.npz"), arrays(""));
    await writeNpz(join(folder, "state.npz"), { ...arrays("mu/"), ...arrays("params/") });

    const pixels = noise(3 * SIDE * SIDE * 3);
    const images = { dtype: "uint8" as const, shape: [3, SIDE, SIDE, 3] as const, data: pixels };
    const expected = tf.tidy(() => {
      const parameters = Object.fromEntries(
        weights.map(([name, shape, data]) => [name, tf.tensor(data, shape)]),
      );
      const x = valueRange(tf.tensor4d(Float32Array.from(pixels), [3, SIDE, SIDE, 3]), [-1, 1]);
      return network.apply()(parameters, x, { training: false }).logits.dataSync<"float32">();
    });
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const versions = [];
    for (const path of ["student.npz", "state.npz"]) {
      const written = { format: "npz", path, resolution: SIDE, valueRange: [-1, 1] };
      const teacher = await openNetwork(
        resolveModel(modelSchema.parse(written), join(folder, "teacher.yaml")),
        1,
      );
      expect(teacher.facts).toMatchObject({ classes: 4, runtime: { versionOf: "weights" } });
      expect(teacher.facts.runtime.architecture).toContain(config.kind);
      versions.push(teacher.facts.version);
      const found = await teacher.compute({
        size: 4,

        slices: [{ images, from: 0, count: 3 }],
      });
      expected.forEach((value, i) => {
        expect(Math.abs(value - found[i]!)).toBeLessThan(1e-4 * largest);
      });
    }
    expect(versions[1]).toBe(versions[0]);
  },
);
