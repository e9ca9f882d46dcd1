import { join } from "node:path";
import { loadNetworkWeights, writeNpz } from "@funmatch/models";
import { expect, test } from "vitest";
import { resamplePositions } from "../../shared/models/resample-positions.ts";
import { temporaryFolder } from "../e2e/services.ts";

const OLD = {
  shape: [1, 9, 2],
  values: Float32Array.from({ length: 18 }, (_, at) => {
    const [i, j, c] = [Math.floor(at / 6), Math.floor(at / 2) % 3, at % 2] as const;
    return (i * 7 + j * j * 3 + c * 5) % 11;
  }),
};

/** `scipy.ndimage.zoom(old, (side / 3, side / 3, 1), order=1)` of scipy 1.15.3. */
const SCIPY: Record<number, number[]> = {
  2: [0, 5, 1, 6, 3, 8, 4, 9],
  5: [
    ...[0, 5, 1.5, 6.5, 3, 8, 2, 7, 1, 6, 3.5, 3, 5, 4.5, 6.5, 6, 5.5, 5, 4.5, 4, 7, 1, 8.5, 2.5, 10],
    ...[4, 9, 3, 8, 2, 5, 4.5, 6.5, 3.25, 8, 2, 7, 3.75, 6, 5.5, 3, 8, 4.5, 4, 6, 0, 5, 4.5, 4, 9],
  ],
};

test.each([2, 5])("3×3 positions for a grid of %d×%d are scipy's", (side) => {
  const { shape, values } = resamplePositions(OLD, [1, side * side, 2]);
  expect(shape).toEqual([1, side * side, 2]);
  expect(Array.from(values)).toEqual(SCIPY[side]);
});

test("of the same grid, of no square and of other channels they stay as they are", () => {
  for (const wanted of [
    [1, 9, 2],
    [1, 6, 2],
    [1, 4, 3],
    [4, 2],
  ])
    expect(resamplePositions(OLD, wanted)).toEqual(OLD);
});

test("weights of a ViT are loaded for another resolution; what is no grid is refused", async () => {
  const path = join(temporaryFolder("positions"), "vit.npz");
  await writeNpz(path, { pos_embedding: { dtype: "float32", shape: OLD.shape, data: OLD.values } });
  const loaded = await loadNetworkWeights(path, { pos_embedding: [1, 4, 2] });
  expect(Array.from(loaded.pos_embedding!.values)).toEqual(SCIPY[2]);
  await expect(loadNetworkWeights(path, { pos_embedding: [1, 6, 2] })).rejects.toThrow(
    /pos_embedding has shape \[1,9,2\], the student needs \[1,6,2\]/,
  );
});
