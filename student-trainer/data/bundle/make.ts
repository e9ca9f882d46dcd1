/**
 * Makes the Fashion-MNIST files of `data/fashion` from Debian's package `dataset-fashion-mnist`:
 *
 *     node student-trainer/data/bundle/make.ts [--from DIR] [--full] OUT_DIR
 *
 * --from DIR  take the package's four .gz files from DIR instead of downloading the package with apt-get
 * --full      write all images instead of the bundled subset, in the same layout: for training the teacher
 *
 * Every choice is by position in the original files, so the output is the same each time:
 *
 * | split      | full                                  | bundled                                            |
 * | ---------- | ------------------------------------- | -------------------------------------------------- |
 * | train      | 5,500 a class: all but the last 500   | the first 1,400 a class                            |
 * | validation | 500 a class: the last of the training file | the first 100 a class of those                |
 * | test       | the whole test file                   | the first 200 a class                              |
 *
 * So the bundled splits are parts of the full ones, and train and validation share no image in either.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Idx, packIdx, readIdx } from "../idx.ts";

const PACKAGE = "dataset-fashion-mnist";
const CLASSES = 10;

interface Labelled {
  images: Idx;
  labels: Idx;
}

async function readPair(directory: string, name: string): Promise<Labelled> {
  return {
    images: await readIdx(join(directory, `${name}-images-idx3-ubyte.gz`), 3),
    labels: await readIdx(join(directory, `${name}-labels-idx1-ubyte.gz`), 1),
  };
}

/** Positions from..to of every class, counted within the class in file order (negative: from the class's end). */
function choose(labels: Idx, from: number, to?: number): number[] {
  const byClass: number[][] = Array.from({ length: CLASSES }, () => []);
  for (const [place, label] of labels.data.entries()) byClass[label]!.push(place);
  return byClass.flatMap((places) => places.slice(from, to)).sort((a, b) => a - b);
}

function take({ images, labels }: Labelled, places: number[]): Labelled {
  const [, height, width] = images.shape as [number, number, number];
  const size = height * width;
  const data = new Uint8Array(places.length * size);
  for (const [i, place] of places.entries()) {
    data.set(images.data.subarray(place * size, (place + 1) * size), i * size);
  }
  const kept = Uint8Array.from(places, (place) => labels.data[place]!);
  return {
    images: { shape: [places.length, height, width], data },
    labels: { shape: [places.length], data: kept },
  };
}

function write(directory: string, name: string, bytes: Uint8Array): void {
  writeFileSync(join(directory, name), bytes);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  console.log(`| ${name} | ${bytes.length} | ${sha256} |`);
}

/** Unpacks the Debian package into `directory` and returns the folder of its data. */
function download(directory: string): string {
  console.error(`Downloading Debian's ${PACKAGE} (31 MB)`);
  execFileSync("apt-get", ["download", PACKAGE], { cwd: directory, stdio: ["ignore", 2, 2] });
  const file = readdirSync(directory).find((name) => name.endsWith(".deb"));
  if (file === undefined) throw new Error(`apt-get download ${PACKAGE} left no .deb file`);
  execFileSync("dpkg-deb", ["-x", file, "."], { cwd: directory, stdio: ["ignore", 2, 2] });
  return join(directory, "usr/share/datasets/fashion-mnist");
}

const { values, positionals } = parseArgs({
  options: { from: { type: "string" }, full: { type: "boolean", default: false } },
  allowPositionals: true,
});
const [out] = positionals;
if (out === undefined || positionals.length > 1) {
  console.error("usage: node student-trainer/data/bundle/make.ts [--from DIR] [--full] OUT_DIR");
  process.exit(2);
}
const unpacked = mkdtempSync(join(tmpdir(), "fashion-"));
try {
  const from = values.from ?? download(unpacked);
  const train = await readPair(from, "train");
  const test = await readPair(from, "t10k");
  const splits = values.full
    ? {
        train: take(train, choose(train.labels, 0, -500)),
        validation: take(train, choose(train.labels, -500)),
        test,
      }
    : {
        train: take(train, choose(train.labels, 0, 1400)),
        validation: take(train, choose(train.labels, -500, -400)),
        test: take(test, choose(test.labels, 0, 200)),
      };
  mkdirSync(out, { recursive: true });
  for (const [split, { images, labels }] of Object.entries(splits)) {
    write(out, `${split}-images.idx3.gz`, packIdx(images));
    write(out, `${split}-labels.idx1.gz`, packIdx(labels));
  }
} finally {
  rmSync(unpacked, { recursive: true });
}
