import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type NpyArray, readNpz } from "@funmatch/models";
import {
  type Box,
  centralCrop,
  draws,
  type Image,
  inceptionCrop,
  mixup,
  resize,
  resizeBilinear,
  resizeSmall,
} from "@funmatch/views";
import { describe, expect, test } from "vitest";

// What the paper's code (big_vision on TensorFlow and JAX) makes of the same inputs: test/golden/README.md.
const golden = (name: string) => fileURLToPath(new URL(`../golden/${name}`, import.meta.url));
const preprocess = await readNpz(golden("preprocess.npz"));
const mixed = await readNpz(golden("mixup.npz"));

const bytes = (array: NpyArray | undefined) => array!.data as Uint8Array;

function picture(array: NpyArray | undefined): Image {
  const [height, width] = array!.shape as [number, number];
  return { height, width, data: bytes(array) };
}

function cut(image: Image, box: Box, size: number): Image {
  const data = new Uint8Array(size * size * 3);
  resizeBilinear(image, box, size, size, false, data, 0);
  return { height: size, width: size, data };
}

describe.each(["im0", "im1", "im2"])("preprocessing of %s equals TensorFlow's to the byte", (name) => {
  const image = picture(preprocess.get(name));
  const expected = (what: string) => picture(preprocess.get(`${name}_${what}`));

  test("resize", () => expect(resize(image, 32, 32)).toEqual(expected("resize32")));
  test("resize_small, enlarging or not", () =>
    expect(resizeSmall(image, 48)).toEqual(expected("resize_small48")));
  test("resize_small", () => expect(resizeSmall(image, 24)).toEqual(expected("resize_small24")));
  test("central_crop", () => {
    const small = resizeSmall(image, 48);
    const middle = cut(small, centralCrop(small.height, small.width, 32), 32);
    expect(middle).toEqual(expected("resize_small48_central_crop32"));
  });
  test("crop and resize in one pass", () => {
    const [y, x, height, width] = preprocess.get(`${name}_box`)!.data as Int32Array;
    const box = { y: y!, x: x!, height: height!, width: width! };
    expect(cut(image, box, 64)).toEqual(expected("box_resize64"));
  });
});

test("mixup equals JAX's to the byte", () => {
  const images = bytes(mixed.get("images"));
  for (const [i, lambda] of (mixed.get("lam")!.data as Float32Array).entries()) {
    const out = new Uint8Array(images.length);
    mixup(images, 8, lambda, out);
    expect(out, `lambda ${lambda}`).toEqual(bytes(mixed.get(`mixed${i}`)));
  }
});

interface CropStatistics {
  area_frac_quantiles: Record<string, number>;
  aspect_wh_quantiles: Record<string, number>;
}

const statistics = JSON.parse(readFileSync(golden("inception_crop_stats.json"), "utf8")) as Record<
  string,
  CropStatistics
>;

test.each(Object.entries(statistics))(
  "inception crops of %s are distributed as TensorFlow's",
  (size, golden) => {
    // Many draws, so that what is compared is our distribution and not our luck: the golden quantiles, of 4,000 crops,
    // are themselves uncertain by up to 2.5 %.
    const count = 200_000;
    const [height, width] = size.split("x").map(Number) as [number, number];
    const d = draws(0, "inception crop", size);
    const boxes = Array.from({ length: count }, () => inceptionCrop(d, height, width));
    const sorted = (values: number[]) => Float64Array.from(values).sort();
    const areas = sorted(boxes.map((box) => (box.height * box.width) / (height * width)));
    const aspects = sorted(boxes.map((box) => box.width / box.height));
    for (const [percent, value] of Object.entries(golden.area_frac_quantiles)) {
      const ours = areas[Math.floor((count * Number(percent)) / 100)]!;
      expect(Math.abs(ours / value - 1), `area, ${percent} %`).toBeLessThan(0.03);
    }
    for (const [percent, value] of Object.entries(golden.aspect_wh_quantiles)) {
      const ours = aspects[Math.floor((count * Number(percent)) / 100)]!;
      expect(Math.abs(ours / value - 1), `aspect, ${percent} %`).toBeLessThan(0.03);
    }
  },
);
