import { UserError } from "@funmatch/config";
import { type NpyArray, valueRange } from "@funmatch/models";
import {
  type Box,
  centralCrop,
  type Image,
  mixup,
  resize,
  resizeBilinear,
  resizeSmall,
} from "@funmatch/views";
import * as tf from "@tensorflow/tfjs-core";
import { type Check, compare, type Row, worst } from "./check.ts";
import { type Golden, named, numbers } from "./golden.ts";

const VIEWS = { levels: 1, equal: 0.99 };
const MIXTURES = { levels: 1, equal: 0.999 };

/** Every view of every image; the name tells how it was made: `im0_resize_small48_central_crop32`. */
export async function preprocessRow(golden: Golden): Promise<Row> {
  const arrays = await golden.arrays("preprocess.npz");
  const checksOf = new Map<string, Check[]>();
  for (const [name, array] of arrays) {
    const [, source, operations] = /^(im\d+)_(.+)$/.exec(name) ?? [];
    if (!source || !operations || operations === "box") continue;
    const kind = operations.replace(/\d+/g, "");
    checksOf.set(kind, [...(checksOf.get(kind) ?? []), checkView(arrays, source, name, operations, array)]);
  }
  return { name: "preprocess", checks: [...checksOf].map(([kind, checks]) => worst(kind, checks)) };
}

function checkView(
  arrays: Map<string, NpyArray>,
  source: string,
  name: string,
  operations: string,
  array: NpyArray,
): Check {
  const image = imageOf(named(arrays, source));
  const [height, width] = array.shape as [number, number];
  if (operations === "value_range") {
    const corner = crop(image, { y: 0, x: 0, height, width });
    const pixels = tf.tensor4d(Float32Array.from(corner.data), [1, height, width, 3]);
    return compare(name, valueRange(pixels, [-1, 1]).dataSync(), numbers(array), { absolute: 1e-6 });
  }
  const box = arrays.get(`${source}_box`);
  return compare(name, viewNamed(image, operations, box).data, numbers(array), VIEWS);
}

function viewNamed(image: Image, operations: string, box: NpyArray | undefined): Image {
  let view = image;
  let rest = operations;
  while (rest !== "") {
    const [whole, operation, digits] = /^(resize_small|resize|central_crop|box)(\d*)(?:_|$)/.exec(rest) ?? [];
    if (!whole || !operation) throw new UserError(`preprocess.npz: "${rest}" names no known operation`);
    rest = rest.slice(whole.length);
    const size = Number(digits);
    if (operation === "resize_small") view = resizeSmall(view, size);
    else if (operation === "resize") view = resize(view, size, size);
    else if (operation === "central_crop") view = crop(view, centralCrop(view.height, view.width, size));
    else view = crop(view, boxOf(box));
  }
  return view;
}

/** A crop is a resize to its own size. */
function crop(image: Image, box: Box): Image {
  const data = new Uint8Array(box.height * box.width * 3);
  resizeBilinear(image, box, box.height, box.width, false, data, 0);
  return { height: box.height, width: box.width, data };
}

function boxOf(array: NpyArray | undefined): Box {
  if (!array) throw new UserError("preprocess.npz: a view of a box, but no box");
  const [y, x, height, width] = numbers(array) as unknown as [number, number, number, number];
  return { y, x, height, width };
}

function imageOf(array: NpyArray): Image {
  const [height, width] = array.shape as [number, number];
  return { height, width, data: numbers(array) as Uint8Array };
}

/** The bytes of a batch mixed with every lambda. */
export async function mixupRow(golden: Golden): Promise<Row> {
  const arrays = await golden.arrays("mixup.npz");
  const images = named(arrays, "images");
  const batch = numbers(images) as Uint8Array;
  const lambdas = [...numbers(named(arrays, "lam"))];
  const checks = lambdas.map((lambda, i) => {
    const out = new Uint8Array(batch.length);
    mixup(batch, images.shape[0]!, lambda, out);
    return compare(`lambda ${lambda}`, out, numbers(named(arrays, `mixed${i}`)), MIXTURES);
  });
  return { name: "mixup", checks: [worst("mixtures", checks)] };
}
