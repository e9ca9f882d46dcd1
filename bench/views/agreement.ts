import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decode, draws, inceptionCrop, resizeBilinear, writeFromJpeg } from "@funmatch/views";
import { type Boxed, boxesOrder, type Side } from "./sides.ts";

/** How far the same boxes of the same photographs, cropped and resized, are from ours. */
export interface Agreement {
  /** Share of the values that are equal. */
  equal: number;
  /** Share that differ by at most one level of 255: the golden vectors' tolerance. */
  withinOne: number;
  largest: number;
}

/** Boxes of inception crops, one of each photograph, drawn as ours are. */
export async function drawBoxes(paths: string[]): Promise<Boxed[]> {
  return Promise.all(
    paths.map(async (path, i) => {
      const { height, width } = await decode(readFileSync(path));
      return { path, box: inceptionCrop(draws(0, "bench views", i), height, width) };
    }),
  );
}

/** What ours makes of the boxes, from the whole photographs; checked against what it makes of their parts. */
export async function ourViews(boxed: Boxed[], side: number): Promise<Uint8Array> {
  const size = side * side * 3;
  const views = new Uint8Array(boxed.length * size);
  for (const [i, { path, box }] of boxed.entries()) {
    const file = readFileSync(path);
    resizeBilinear(await decode(file), box, side, side, false, views, i * size);
    const part = new Uint8Array(size);
    const framing = { box, square: false, flip: false };
    const written = writeFromJpeg(file, () => [{ framing, resolution: side, out: part, offset: 0 }]);
    if (written && Buffer.compare(part, views.subarray(i * size, (i + 1) * size)) !== 0)
      throw new Error(`a part of ${path} is not what the whole is`);
  }
  return views;
}

/** Asks a peer for the same. */
export async function compareWith(
  peer: Side,
  boxed: Boxed[],
  side: number,
  ours: Uint8Array,
  folder: string,
): Promise<Agreement> {
  const out = join(folder, "views");
  await peer.ask(boxesOrder(boxed, side, out));
  const theirs = readFileSync(out);
  if (theirs.length !== ours.length) throw new Error(`${peer.name} made ${theirs.length} bytes of views`);
  const differences = ours.map((value, i) => Math.abs(value - (theirs[i] as number)));
  const share = (most: number) =>
    differences.reduce((count, each) => count + (each <= most ? 1 : 0), 0) / differences.length;
  return { equal: share(0), withinOne: share(1), largest: differences.reduce((a, b) => Math.max(a, b), 0) };
}
