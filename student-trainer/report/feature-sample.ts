import { linearCka } from "./cka.ts";

/** Alignment takes the square of so many products of rows: seconds, however wide they are. */
const MOST = 2048;

/** The student's features of some images of a split, evenly spaced, to be aligned with teachers. */
export interface FeatureSample {
  /** Features [n, width] of the images from `first` on; of corrupt ones (label -1) they are passed over. */
  add(first: number, labels: Int32Array, features: Float32Array, width: number): void;
  /** Linear CKA with a teacher's logits [N,K] of all images that are not corrupt; undefined where one is constant. */
  cka(logits: Float32Array, classes: number): number | undefined;
}

/** Starts a sample of a split of `size` images. */
export function sampleFeatures(size: number): FeatureSample {
  const every = Math.ceil(size / MOST);
  const rows: Float32Array[] = [];
  /** Their places among the images that are not corrupt. */
  const places: number[] = [];
  let decoded = 0;

  return {
    add(first, labels, features, width) {
      for (const [i, label] of labels.entries()) {
        if (label === -1) continue;
        if ((first + i) % every === 0) {
          rows.push(features.slice(i * width, (i + 1) * width));
          places.push(decoded);
        }
        decoded++;
      }
    },
    cka(logits, classes) {
      const told = places.map((place) => logits.subarray(place * classes, (place + 1) * classes));
      const found = linearCka(joined(rows), joined(told));
      return Number.isFinite(found) ? found : undefined;
    },
  };
}

function joined(rows: Float32Array[]): { data: Float32Array; width: number } {
  const width = rows[0]?.length ?? 0;
  const data = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) data.set(row, i * width);
  return { data, width };
}
