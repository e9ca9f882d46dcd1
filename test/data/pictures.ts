import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { onTestFinished } from "vitest";

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "funmatch-data-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A small picture of random colours, the same for the same seed; the file's name decides its format. */
export async function writePicture(path: string, seed: number, width = 40, height = 30): Promise<void> {
  const data = Buffer.alloc(width * height * 3);
  let state = seed + 1;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  mkdirSync(dirname(path), { recursive: true });
  const picture = sharp(data, { raw: { width, height, channels: 3 } });
  const format = path.toLowerCase().endsWith("png") ? "png" : path.endsWith("webp") ? "webp" : "jpeg";
  writeFileSync(path, await picture.toFormat(format).toBuffer());
}

/** A folder with classes `cat` (4 pictures) and `dog` (3). */
export async function pictureFolder(): Promise<string> {
  const folder = temporaryFolder();
  for (const [i, name] of ["cat/b.jpg", "cat/a.JPEG", "cat/c.png", "cat/é.webp"].entries()) {
    await writePicture(join(folder, name), i);
  }
  for (const i of [4, 5, 6]) await writePicture(join(folder, `dog/${i}.jpg`), i, 30 + i, 50);
  return folder;
}
