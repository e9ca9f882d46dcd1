import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { openPool } from "../../student-trainer/data/pool.ts";

const clothing = fileURLToPath(new URL("../../../shared/data/clothing", import.meta.url));
const present = existsSync(clothing);
if (!present) console.log("Skipped: ../shared/data/clothing, the real photographs, is not here");

test.skipIf(!present)("real photographs become batches, the same from any number of threads", async () => {
  const digests = [];
  for (const workers of [1, 2]) {
    const pool = await openPool({
      train: { folder: `${clothing}/train` },
      splits: { test: { folder: `${clothing}/test` } },
      ...{ seed: 0, batch: 64, resolution: 64, chunk: 64, view: "ic", mixup: 1, workers },
    });
    expect(pool.sources.train).toMatchObject({ size: 3068 });
    expect(pool.sources.test!.labels).toEqual([
      "dress",
      "hat",
      "longsleeve",
      "outwear",
      "pants",
      "shirt",
      "shoes",
      "shorts",
      "skirt",
      "t-shirt",
    ]);
    // Step 48 holds the last images of the first epoch and the first ones of the second.
    const batches = await Promise.all([1, 48].map((step) => pool.train(step)));
    const evaluated = await pool.evaluation("test", 340, 32);
    digests.push([...batches, evaluated].map(({ views }) => views.digest));
    await pool.close();
  }
  expect(digests[1]).toEqual(digests[0]);
});
