import { expect, test } from "vitest";
import { modelSchema, resolveModel } from "../../teacher-service/config/model-config.ts";
import { inParts, partsOf } from "../../teacher-service/formats/in-parts.ts";
import { openNetwork } from "../../teacher-service/formats/open.ts";
import type { Images, Pass } from "../../teacher-service/queue/batch.ts";
import { noise, writeTeacher } from "./tiny-teacher.ts";

const SIDE = 32;

function images(count: number, seed: number): Images {
  return { dtype: "uint8", shape: [count, SIDE, SIDE, 3], data: noise(count * SIDE * SIDE * 3, seed) };
}

const [first, second] = [images(6, 1), images(9, 2)];
/** Parts of two requests, and four rows that only fill the batch. */
const PASS: Pass = {
  size: 16,
  slices: [
    { images: first, from: 1, count: 5 },
    { images: second, from: 0, count: 7 },
  ],
};

test("a pass is cut between images, across requests, with what fills it", () => {
  expect(partsOf(PASS, 4)).toEqual([
    { size: 4, slices: [{ images: first, from: 1, count: 4 }] },
    {
      size: 4,
      slices: [
        { images: first, from: 5, count: 1 },
        { images: second, from: 0, count: 3 },
      ],
    },
    { size: 4, slices: [{ images: second, from: 3, count: 4 }] },
    { size: 4, slices: [] },
  ]);
  expect(partsOf(PASS, 6).map(({ size }) => size)).toEqual([6, 6, 4]);
});

test("a network gives every image the same bits whether its pass is cut or whole", async () => {
  const { configPath, weightsPath } = await writeTeacher({});
  const written = { format: "npz", path: weightsPath, resolution: SIDE, valueRange: [-1, 1] };
  const whole = await openNetwork(resolveModel(modelSchema.parse(written), configPath), 8);
  let parts = 0;
  const counted = {
    facts: whole.facts,
    compute(pass: Pass) {
      parts++;
      return whole.compute(pass);
    },
  };
  const expected = await whole.compute(PASS);
  const found = await inParts(counted, 4).compute(PASS);
  expect(parts).toBe(3); // the fourth has no image
  const images = 12 * whole.facts.classes;
  expect([...found.subarray(0, images)]).toEqual([...expected.subarray(0, images)]);
  expect([...found.subarray(images)]).toEqual(new Array(4 * whole.facts.classes).fill(0));
  expect(new Set(expected.subarray(0, images)).size).toBeGreaterThan(images / 2);
});

test("a network that takes one batch size only is given its pass whole", async () => {
  const sizes: number[] = [];
  const facts = { version: "", classes: 1, parameters: 0, runtime: {}, batchSizes: [16] };
  const compute = ({ size }: Pass) => {
    sizes.push(size);
    return new Float32Array(size);
  };
  await inParts({ facts, compute }, 4).compute(PASS);
  expect(sizes).toEqual([16]);
});
