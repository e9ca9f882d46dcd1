import { type CropRange, draws, writeCentralView, writeView } from "@funmatch/views";
import { type EvalBatch, eachAtOnce } from "./batch.ts";
import { readOrReplace } from "./corrupt.ts";
import { bytesOf, viewsOf } from "./layers.ts";
import type { Source } from "./source.ts";

/** What a fixed teacher is asked for, once, of every training image. */
export interface FixedView {
  /** rs: the whole picture, resized; cc: the central view; ic: inception crops. */
  kind: "rs" | "cc" | "ic";
  /** Views of each image; 1 but for inception crops. */
  ensemble: number;
  /** Side of the teacher's square views, in pixels. */
  resolution: number;
  seed: number;
  crop?: CropRange;
  /** Shorter side of the pictures that central views are cut from; absent, the paper's 160 for 128. */
  centralSide?: number;
}

/** Fixed views, and of which image each is. */
export type FixedBatch = Omit<EvalBatch, "teacherViews">;

/** The name under which answers are kept: equal names are equal bytes, for the same data. */
export function nameOfView({ kind, ensemble, resolution, seed, crop, centralSide }: FixedView): string {
  switch (kind) {
    case "rs":
      return `resized-${resolution}`;
    case "cc":
      return `central-${centralSide ?? "paper"}-${resolution}`;
    case "ic": {
      const bounds = [crop?.area ?? "paper", crop?.aspect ?? "paper"].flat().join("-");
      return `inception-${ensemble}-${bounds}-seed-${seed}-${resolution}`;
    }
    default:
      return kind satisfies never;
  }
}

/**
 * Makes fixed views `start` … `start + count - 1` into `memory`, where view v is view v % ensemble of image
 * floor(v / ensemble). An inception crop's draws are the stream ("ensemble view", image, which of the ensemble).
 *
 * @throws UserError naming the image that could not be read for another reason than its bytes.
 */
export async function makeFixedViews(
  source: Source,
  view: FixedView,
  start: number,
  count: number,
  memory: SharedArrayBuffer,
): Promise<FixedBatch> {
  const { ensemble, resolution } = view;
  const data = new Uint8Array(memory, 0, bytesOf(count, resolution));
  const firstImage = Math.floor(start / ensemble);
  const images = Math.floor((start + count - 1) / ensemble) - firstImage + 1;
  await eachAtOnce(images, async (nth) => {
    const index = firstImage + nth;
    // A corrupt image's own row is never taught from: training takes that of the image that stands in for it.
    const { image } = await readOrReplace(source, view.seed, index);
    const from = Math.max(start, index * ensemble);
    const to = Math.min(start + count, (index + 1) * ensemble);
    for (let v = from; v < to; v++) {
      const offset = bytesOf(v - start, resolution);
      if (view.kind === "cc") writeCentralView(image, resolution, data, offset, view.centralSide);
      else {
        const stream = draws(view.seed, "ensemble view", index, v % ensemble);
        writeView(view.kind, image, stream, resolution, data, offset, view.crop);
      }
    }
  });
  const indices = Int32Array.from({ length: count }, (_, i) => Math.floor((start + i) / ensemble));
  return {
    indices,
    labels: indices.map((index) => source.label(index)),
    views: viewsOf(data, count, resolution),
  };
}
