import { decode, draws, inceptionCrop, type PlacedView, writeFramed, writeFromJpeg } from "@funmatch/views";
import sharp, { type JpegOptions, type Sharp } from "sharp";
import { expect, test } from "vitest";
import { sizeOfUprightJpeg } from "../../shared/views/jpeg-header.ts";

const HEIGHT = 147;
const WIDTH = 203;

/** Waves and noise in all channels, so that every pixel of a wrong neighbourhood shows. */
function picture(height = HEIGHT, width = WIDTH): Sharp {
  const d = draws(0, "picture");
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < data.length; i++)
    data[i] = 128 + 80 * Math.sin(i / (7 + (i % 3))) + (d.uniform() - 0.5) * 90;
  return sharp(data, { raw: { height, width, channels: 3 } });
}

const jpeg = (o: JpegOptions) => picture().jpeg(o).toBuffer();

/** One view in bytes of its own, at two resolutions. */
function viewsInto(box: PlacedView["framing"]["box"], flip: boolean, square = false): PlacedView[] {
  const framing = { box, flip, square };
  return [24, 40].map((resolution) => {
    return { framing, resolution, out: new Uint8Array(resolution * resolution * 3 + 5), offset: 5 };
  });
}

/** Writes the same views from the whole picture and from its file, and compares them. */
async function expectSame(file: Uint8Array, views: () => PlacedView[]): Promise<void> {
  const [expected, found] = [views(), views()];
  const image = await decode(file);
  for (const { framing, resolution, out, offset } of expected)
    writeFramed(image, framing, resolution, out, offset);
  const written = writeFromJpeg(file, (size) => {
    expect(size).toEqual({ height: image.height, width: image.width });
    return found;
  });
  expect(written).toBe(true);
  expect(found.map(({ out }) => out)).toEqual(expected.map(({ out }) => out));
}

test.each<[string, () => Promise<Uint8Array>]>([
  ["colours at half the width and height", () => jpeg({ quality: 88 })],
  ["colours at full size", () => jpeg({ quality: 95, chromaSubsampling: "4:4:4" })],
  ["progressive", () => jpeg({ progressive: true })],
  ["optimised as mozjpeg does", () => jpeg({ mozjpeg: true })],
  ["grayscale", () => picture().toColourspace("b-w").jpeg().toBuffer()],
  [
    "with an Exif that says upright",
    () =>
      picture()
        .withExif({ IFD0: { Artist: "A" } })
        .jpeg()
        .toBuffer(),
  ],
  ["of one pixel", () => picture(1, 1).jpeg().toBuffer()],
  ["of one row", () => picture(1, 90).jpeg().toBuffer()],
])("a part of a JPEG gives the very bytes that the whole gives: %s", async (_what, make) => {
  const file = await make();
  const { height, width } = sizeOfUprightJpeg(file)!;
  const d = draws(1, "boxes");
  for (let i = 0; i < 60; i++) {
    const box = inceptionCrop(d, height, width, { area: [0.001, 1] });
    await expectSame(file, () => viewsInto(box, i % 2 === 0));
  }
});

test("views of several boxes, and of the whole picture as a square, come from one decoding", async () => {
  const file = await jpeg({});
  const boxes = [
    { y: 3, x: 90, height: 30, width: 40 },
    { y: 100, x: 17, height: 47, width: 20 },
  ];
  await expectSame(file, () => boxes.flatMap((box) => viewsInto(box, false)));
  await expectSame(file, () => viewsInto({ y: 2, x: 3, height: 24, width: 24 }, true, true));
});

test("what must be read whole is not written: turned, cut off, another format, CMYK", async () => {
  const views = () => viewsInto({ y: 0, x: 0, height: HEIGHT, width: WIDTH }, false);
  const file = await jpeg({});
  const turned = await picture().withMetadata({ orientation: 6 }).jpeg().toBuffer();
  const cmyk = await picture().toColourspace("cmyk").jpeg().toBuffer();
  const others = [turned, cmyk, file.subarray(0, 2000), file.subarray(0, 30), new Uint8Array(0)];
  for (const bytes of [...others, await picture().png().toBuffer()])
    expect(writeFromJpeg(bytes, views)).toBe(false);
  expect(writeFromJpeg(file, views)).toBe(true);
});

test("no header of changed bytes is read past its end", async () => {
  const file = await picture(16, 16)
    .withExif({ IFD0: { Artist: "A" } })
    .jpeg()
    .toBuffer();
  const d = draws(2, "changes");
  const header = 700;
  for (let i = 0; i < 3000; i++) {
    const changed = Uint8Array.from(file.subarray(0, 1 + d.below(file.length)));
    for (let k = 0; k < 3; k++) changed[d.below(Math.min(header, changed.length))] = d.below(256);
    expect(() => sizeOfUprightJpeg(changed)).not.toThrow();
  }
});
