import { join } from "node:path";
import sharp from "sharp";
import type { Views } from "../data/batch.ts";

const COLUMNS = 8;
const ROWS = 3;
/** Larger views are shrunk to this side: the report shows them at about this size. */
const MOST_SIDE = 128;
const GAP = 2;

/** How many images the samples show. */
export const SAMPLES = COLUMNS * ROWS;

/**
 * Writes `samples.png`: the first views of a batch in a grid, exactly the pixels that were trained on. Where the
 * teacher's views are others, each row of the student's has a row of the teacher's below it, image by image.
 */
export async function writeSamples(run: string, student: Views, teacher?: Views): Promise<void> {
  const count = Math.min(student.shape[0], teacher?.shape[0] ?? SAMPLES, SAMPLES);
  const side = Math.min(student.shape[2], MOST_SIDE);
  const rows = (all: Views, nth: number) => tilesOf(all, count, side, (row) => row * (teacher ? 2 : 1) + nth);
  const tiles = [...(await rows(student, 0)), ...(teacher ? await rows(teacher, 1) : [])];
  const extent = (tilesThere: number) => tilesThere * (side + GAP) - GAP;
  await sharp({
    create: {
      width: extent(Math.min(count, COLUMNS)),
      height: extent(Math.ceil(count / COLUMNS) * (teacher ? 2 : 1)),
      channels: 4,
      background: { r: 0, g: 0, b: 0, alpha: 0 },
    },
  })
    .composite(tiles)
    .png()
    .toFile(join(run, "samples.png"));
}

/** The first `count` views at their places, [side, side] each. */
function tilesOf(views: Views, count: number, side: number, rowAt: (row: number) => number) {
  const [, height, width] = views.shape;
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const start = i * height * width * 3;
      const pixels = Buffer.from(views.data.subarray(start, start + height * width * 3));
      const image = sharp(pixels, { raw: { width, height, channels: 3 } });
      const input = await image.resize(side, side).png().toBuffer();
      const [row, column] = [rowAt(Math.floor(i / COLUMNS)), i % COLUMNS];
      return { input, left: column * (side + GAP), top: row * (side + GAP) };
    }),
  );
}
