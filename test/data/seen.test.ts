import { readFileSync, writeFileSync } from "node:fs";
import { draws, mixup, mixupLambda, writeView } from "@funmatch/views";
import { expect, onTestFinished, test } from "vitest";
import { makeTrainBatch } from "../../student-trainer/data/batch.ts";
import { bytesOfBatch } from "../../student-trainer/data/layers.ts";
import { examplesOf } from "../../student-trainer/data/order.ts";
import { openPool } from "../../student-trainer/data/pool.ts";
import { indexSources, openSource, type Source, sourceOf } from "../../student-trainer/data/source.ts";
import { pictureFolder } from "./pictures.ts";

const recipe = { seed: 5, batch: 7, resolution: 16, chunk: 7, view: "ic", mixup: 1 } as const;

test("an image's file is given only after a thread has read the image, whichever thread that was", async () => {
  const { train, part } = await indexSources({
    train: { folder: await pictureFolder() },
    part: { folder: await pictureFolder(), split: "[50%:]" },
  });
  for (const index of [train!, part!]) {
    const [source, inAnotherThread] = [sourceOf(index), sourceOf(structuredClone(index))];
    const last = source.size - 1;
    expect(inAnotherThread.encoded!(last)).toBeUndefined();
    await source.read(last);
    expect(inAnotherThread.encoded!(last)).toEqual(readFileSync(source.nameOf(last)));
    expect(inAnotherThread.encoded!(0)).toBeUndefined();
    inAnotherThread.onlyWhole!(last);
    await source.read(last);
    expect(source.encoded!(last)).toBeUndefined();
  }
});

test("later epochs, from parts of the files, have the bytes that whole pictures give", async () => {
  const train = { folder: await pictureFolder() };
  const pool = await openPool({ ...recipe, train, splits: {}, workers: 2 });
  onTestFinished(() => pool.close());
  const source = await openSource(train);
  for (const step of [1, 2, 3, 4]) {
    const { views, pictures } = await pool.train(step);
    expect(Buffer.compare(views.data, await fromWholePictures(source, step))).toBe(0);
    expect(pictures !== undefined).toBe(step === 1);
  }
});

async function fromWholePictures(source: Source, step: number): Promise<Uint8Array> {
  const size = 16 * 16 * 3;
  const [plain, mixed] = [new Uint8Array(7 * size), new Uint8Array(7 * size)];
  for (const [place, { epoch, index }] of examplesOf(5, step, 7, source.size).entries())
    writeView("ic", await source.read(index), draws(5, "view", epoch, index), 16, plain, place * size);
  mixup(plain, 7, mixupLambda(draws(5, "mixup", step), 1), mixed);
  return mixed;
}

test("a file that becomes damaged once it was seen is replaced, one that goes is an error, as ever", async () => {
  const source = await openSource({ folder: await pictureFolder() });
  const make = (step: number) =>
    makeTrainBatch(source, recipe, step, new SharedArrayBuffer(bytesOfBatch(recipe)));
  for (const step of [1, 2]) expect((await make(step)).replaced).toBeUndefined();
  const path = source.nameOf(5);
  writeFileSync(path, readFileSync(path).subarray(0, 300));
  expect((await make(3)).replaced).toMatchObject([{ index: 5, message: expect.stringContaining(path) }]);
  writeFileSync(path, "");
  expect((await make(4)).replaced).toMatchObject([{ index: 5 }]);
});
