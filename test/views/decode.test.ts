import { crc32 } from "node:zlib";
import { DecodeError, decode, type Image } from "@funmatch/views";
import sharp from "sharp";
import { describe, expect, test } from "vitest";

// A picture with a red left half, a blue right half and a white pixel row on top.
const WIDTH = 32;
const HEIGHT = 16;
const pixels = Buffer.alloc(WIDTH * HEIGHT * 3);
for (let y = 0; y < HEIGHT; y++) {
  for (let x = 0; x < WIDTH; x++) {
    const colour = y === 0 ? [255, 255, 255] : x < WIDTH / 2 ? [200, 30, 40] : [20, 50, 220];
    pixels.set(colour, (y * WIDTH + x) * 3);
  }
}
const original = () => sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
const pixel = (image: Image, y: number, x: number) => [
  ...image.data.subarray((y * image.width + x) * 3, (y * image.width + x) * 3 + 3),
];

describe("every kind of picture becomes upright RGB", () => {
  test("PNG, exactly", async () => {
    const image = await decode(await original().png().toBuffer());
    expect([image.height, image.width]).toEqual([HEIGHT, WIDTH]);
    expect(Buffer.from(image.data).equals(pixels)).toBe(true);
  });

  test.each(["jpeg", "webp"] as const)("%s, nearly", async (format) => {
    const image = await decode(await original().toFormat(format, { quality: 100 }).toBuffer());
    expect(image.data.length).toBe(pixels.length);
    for (const [channel, value] of [200, 30, 40].entries()) {
      expect(Math.abs(pixel(image, 8, 4)[channel]! - value)).toBeLessThan(6);
    }
  });

  test("grayscale JPEG: three equal channels", async () => {
    const image = await decode(await original().toColourspace("b-w").jpeg().toBuffer());
    const [r, g, b] = pixel(image, 8, 4);
    expect(image.data.length).toBe(pixels.length);
    expect([g, b]).toEqual([r, r]);
  });

  test("CMYK JPEG: still red on the left and blue on the right", async () => {
    const file = await original().toColourspace("cmyk").jpeg().toBuffer();
    expect((await sharp(file).metadata()).space).toBe("cmyk");
    const image = await decode(file);
    const [red, , blueOfRed] = pixel(image, 8, 4);
    const [redOfBlue, , blue] = pixel(image, 8, 28);
    expect(image.data.length).toBe(pixels.length);
    expect(red! - blueOfRed!).toBeGreaterThan(80);
    expect(blue! - redOfBlue!).toBeGreaterThan(50);
  });

  test("alpha is dropped, not blended", async () => {
    const image = await decode(await original().ensureAlpha(0.25).png().toBuffer());
    expect(Buffer.from(image.data).equals(pixels)).toBe(true);
  });

  test("16-bit PNG", async () => {
    const file = await original().toColourspace("rgb16").png().toBuffer();
    expect((await sharp(file).metadata()).depth).toBe("ushort");
    expect(Buffer.from((await decode(file)).data).equals(pixels)).toBe(true);
  });

  test("PNG with a palette, interlaced", async () => {
    const file = await original().png({ palette: true, progressive: true }).toBuffer();
    expect(await sharp(file).metadata()).toMatchObject({ isPalette: true, isProgressive: true });
    expect(Buffer.from((await decode(file)).data).equals(pixels)).toBe(true);
  });

  test("grayscale PNG, with and without alpha", async () => {
    for (const gray of [original().toColourspace("b-w"), original().ensureAlpha(0.5).toColourspace("b-w")]) {
      const image = await decode(await gray.png().toBuffer());
      expect(image.data.length).toBe(pixels.length);
      const [r, g, b] = pixel(image, 8, 4);
      expect([g, b]).toEqual([r, r]);
      expect(pixel(image, 0, 0)).toEqual([255, 255, 255]);
    }
  });

  test("lossless WebP with alpha, exactly", async () => {
    const image = await decode(
      await original().ensureAlpha(0.25).webp({ lossless: true, exact: true }).toBuffer(),
    );
    expect(Buffer.from(image.data).equals(pixels)).toBe(true);
  });

  test("progressive JPEG: the same pixels as the baseline one", async () => {
    const options = { quality: 90, mozjpeg: false, optimizeCoding: true };
    const baseline = await original().jpeg(options).toBuffer();
    const progressive = await original()
      .jpeg({ ...options, progressive: true })
      .toBuffer();
    expect((await sharp(progressive).metadata()).isProgressive).toBe(true);
    expect(Buffer.from((await decode(progressive)).data)).toEqual(Buffer.from((await decode(baseline)).data));
  });

  /** Of each EXIF orientation: size, and where the original's corners (top left, bottom right) end up. */
  test.each([
    [1, "as it is", [HEIGHT, WIDTH], [0, 0]],
    [2, "mirrored", [HEIGHT, WIDTH], [0, WIDTH - 1]],
    [3, "upside down", [HEIGHT, WIDTH], [HEIGHT - 1, WIDTH - 1]],
    [4, "flipped", [HEIGHT, WIDTH], [HEIGHT - 1, 0]],
    [5, "transposed", [WIDTH, HEIGHT], [0, 0]],
    [6, "a quarter to the right", [WIDTH, HEIGHT], [0, HEIGHT - 1]],
    [7, "transposed the other way", [WIDTH, HEIGHT], [WIDTH - 1, HEIGHT - 1]],
    [8, "a quarter to the left", [WIDTH, HEIGHT], [WIDTH - 1, 0]],
  ])("EXIF orientation %i: %s", async (orientation, _, size, corner) => {
    // Nothing but the top left corner is white.
    const raw = Buffer.alloc(pixels.length);
    raw.fill(255, 0, 3);
    const marked = sharp(raw, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
    for (const format of ["png", "jpeg", "webp"] as const) {
      const file = await marked
        .clone()
        .withMetadata({ orientation })
        .toFormat(format, { quality: 100 })
        .toBuffer();
      expect((await sharp(file).metadata()).orientation, format).toBe(orientation);
      const image = await decode(file);
      expect([image.height, image.width], format).toEqual(size);
      const brightest = image.data.indexOf(image.data.reduce((most, value) => Math.max(most, value)));
      const place = Math.floor(brightest / 3);
      expect([Math.floor(place / image.width), place % image.width], format).toEqual(corner);
    }
  });
});

describe("what is no picture is refused in plain words", () => {
  test.each([
    ["nothing", new Uint8Array(), "empty"],
    ["text", Buffer.from("hello, this is no picture"), "not a JPEG, PNG or WebP"],
    ["SVG", Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), "not a JPEG, PNG or WebP"],
    ["a JPEG's first bytes", Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 16), ""],
  ])("%s", async (_, file, message) => {
    await expect(decode(file)).rejects.toThrow(DecodeError);
    await expect(decode(file)).rejects.toThrow(message);
  });

  test("half a JPEG", async () => {
    const file = await original().jpeg().toBuffer();
    await expect(decode(file.subarray(0, file.length * 0.6))).rejects.toThrow(DecodeError);
  });

  test("a JPEG's header alone: one line, which says each fault once", async () => {
    const file = await original().jpeg().toBuffer();
    const failure = await decode(file.subarray(0, 300)).then(String, (error: Error) => error);
    const { message } = failure as Error;
    const faults = message.split("; ");
    expect(new Set(faults).size).toBe(faults.length);
    expect(message.match(/premature end of JPEG image/g)).toHaveLength(1);
    expect(message).not.toContain("\n");
  });

  test("a small file that claims a huge picture, from its header", async () => {
    const file = await original().png().toBuffer();
    file.writeUInt32BE(60_000, 16); // the width and height of the IHDR chunk, then its checksum
    file.writeUInt32BE(60_000, 20);
    file.writeUInt32BE(crc32(file.subarray(12, 29)), 29);
    const before = process.memoryUsage.rss();
    await expect(decode(file)).rejects.toThrow("pixel limit");
    expect(process.memoryUsage.rss() - before).toBeLessThan(100e6);
  });
});
