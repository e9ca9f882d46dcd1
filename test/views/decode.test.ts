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

  test("PNG with a palette", async () => {
    const image = await decode(await original().png({ palette: true }).toBuffer());
    expect(image.data.length).toBe(pixels.length);
  });

  test("EXIF orientation 6 turns a quarter right: the top row ends up at the right", async () => {
    const image = await decode(await original().withMetadata({ orientation: 6 }).png().toBuffer());
    expect([image.height, image.width]).toEqual([WIDTH, HEIGHT]);
    expect(pixel(image, 5, HEIGHT - 1)).toEqual([255, 255, 255]);
    expect(pixel(image, 5, 3)).toEqual([200, 30, 40]);
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
