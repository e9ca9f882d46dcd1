import { join } from "node:path";
import sharp from "sharp";
import type { Views } from "../data/batch.ts";

const COLUMNS = 8;
const ROWS = 3;
/** Larger views are shrunk to this side: the report shows them at about this size. */
const MOST_SIDE = 128;
const GAP = 2;

/** Writes `samples.png`: the first views of a batch in a grid, exactly the pixels that were sent to the teacher. */
export async function writeSamples(run: string, { views }: { views: Views }): Promise<void> {
  const [n, height, width] = views.shape;
  const count = Math.min(n, COLUMNS * ROWS);
  const side = Math.min(width, MOST_SIDE);
  const tiles = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const start = i * height * width * 3;
      const pixels = Buffer.from(views.data.subarray(start, start + height * width * 3));
      const image = sharp(pixels, { raw: { width, height, channels: 3 } });
      const input = await image.resize(side, side).png().toBuffer();
      const [row, column] = [Math.floor(i / COLUMNS), i % COLUMNS];
      return { input, left: column * (side + GAP), top: row * (side + GAP) };
    }),
  );
  const extent = (tilesThere: number) => tilesThere * (side + GAP) - GAP;
  await sharp({
    create: {
      width: extent(Math.min(count, COLUMNS)),
      height: extent(Math.ceil(count / COLUMNS)),
      channels: 4,
      background: { r: 0, g: 0, b: 0, alpha: 0 },
    },
  })
    .composite(tiles)
    .png()
    .toFile(join(run, "samples.png"));
}
