import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { UserError } from "@funmatch/config";
import { readIdx } from "./idx.ts";
import { labelled } from "./labelled.ts";
import type { Source } from "./source.ts";

const BUNDLED = fileURLToPath(new URL("../../data/fashion", import.meta.url));
const LABELS = [
  "T-shirt/top",
  "Trouser",
  "Pullover",
  "Dress",
  "Coat",
  "Sandal",
  "Shirt",
  "Sneaker",
  "Bag",
  "Ankle boot",
];

/** A split of Fashion-MNIST: the bundled subset, or another folder with files of the same names. */
export interface FashionSpec {
  fashion: "train" | "validation" | "test";
  path?: string;
}

/** All pictures of a split, grayscale uint8 [N, height, width] in shared memory. */
export interface FashionIndex {
  kind: "fashion";
  name: string;
  height: number;
  width: number;
  pixels: Uint8Array;
  classes: Uint8Array;
  digest: string;
}

/**
 * Loads a split into memory that all threads share. The digest covers every pixel and label.
 *
 * @throws UserError if a file is missing, damaged or does not fit the other.
 */
export async function indexFashion({ fashion, path = BUNDLED }: FashionSpec): Promise<FashionIndex> {
  const images = await readIdx(join(path, `${fashion}-images.idx3.gz`), 3);
  const labels = await readIdx(join(path, `${fashion}-labels.idx1.gz`), 1);
  const [count, height, width] = images.shape as [number, number, number];
  if (count === 0 || count !== labels.data.length) {
    throw new UserError(`${path}: ${fashion} has ${count} images and ${labels.data.length} labels`);
  }
  const strange = labels.data.find((label) => label >= LABELS.length);
  if (strange !== undefined) throw new UserError(`${path}: ${fashion} has a label ${strange}; the last is 9`);
  const pixels = new Uint8Array(new SharedArrayBuffer(images.data.length));
  pixels.set(images.data);
  const classes = new Uint8Array(new SharedArrayBuffer(count));
  classes.set(labels.data);
  const hash = createHash("sha256").update(JSON.stringify(images.shape)).update(pixels).update(classes);
  const name = `Fashion-MNIST ${fashion}${path === BUNDLED ? " (bundled)" : ` (${path})`}`;
  return { kind: "fashion", name, height, width, pixels, classes, digest: `sha256:${hash.digest("hex")}` };
}

/** The pictures of a loaded split, gray repeated into red, green and blue. */
export function fashionSource(index: FashionIndex): Source {
  const { name, height, width, pixels, classes, digest } = index;
  const size = height * width;
  async function read(i: number) {
    const data = new Uint8Array(size * 3);
    for (let from = i * size, to = 0; to < data.length; from++) {
      const gray = pixels[from]!;
      data[to++] = gray;
      data[to++] = gray;
      data[to++] = gray;
    }
    return { height, width, data };
  }
  const nameOf = (i: number) => `image ${i} of ${name}`;
  return labelled({ name, labels: LABELS, classes, digest, nameOf, read });
}
