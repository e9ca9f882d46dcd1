import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { centralCrop, decode, resizeBilinear } from "@funmatch/views";
import { cardSchema } from "@funmatch/wire";
import { startTeacherService, type TeacherProcess } from "funmatch-teacher/dev";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bodyOf, logitsOf, post } from "./ask.ts";

/** A real network of another make: EfficientNet-lite0, fine-tuned on photographs of clothes, as an ONNX file. */

const data = fileURLToPath(new URL("../../../shared/data", import.meta.url));
const onnx = join(data, "teacher/clothing-efficientnet-lite0.onnx");
const validation = join(data, "clothing/validation");
const present = existsSync(onnx) && existsSync(validation);
if (!present) console.log("Skipped: ../shared/data, the real photographs and their teacher, is not here");
const SIDE = 160;
const PIXELS = SIDE * SIDE * 3;
/** Images of a request; 341 are eleven of them. */
const CHUNK = 31;

let service: TeacherProcess;
beforeAll(async () => {
  if (!present) return;
  const folder = mkdtempSync(join(tmpdir(), "funmatch-clothing-"));
  writeFileSync(
    join(folder, "teacher.yaml"),
    `listen: { port: 0 }
models:
  clothing: { format: onnx, path: ${onnx}, resolution: ${SIDE}, valueRange: [-1, 1], labels: classes.txt }
batchSizes: [1, 8, 32]
`,
  );
  writeFileSync(join(folder, "classes.txt"), readdirSync(validation).sort().join("\n"));
  service = await startTeacherService(join(folder, "teacher.yaml"));
}, 60_000);
afterAll(async () => {
  if (present) expect(await service?.close()).toBe(0);
});

interface Photographs {
  /** [N,SIDE,SIDE,3] */
  pixels: Uint8Array<ArrayBuffer>;
  labels: number[];
}

/** Central crops of the photographs, whose short side is 192 already. */
async function photographs(): Promise<Photographs> {
  const files = readdirSync(validation)
    .sort()
    .flatMap((name, label) =>
      readdirSync(join(validation, name)).map((file) => ({ path: join(validation, name, file), label })),
    );
  const pixels = new Uint8Array(files.length * PIXELS);
  for (const [i, { path }] of files.entries()) {
    const image = await decode(readFileSync(path));
    const box = centralCrop(image.height, image.width, SIDE);
    resizeBilinear(image, box, SIDE, SIDE, false, pixels, i * PIXELS);
  }
  return { pixels, labels: files.map(({ label }) => label) };
}

const ask = async (pixels: Uint8Array<ArrayBuffer>, side = SIDE) => {
  const shape = [pixels.length / (side * side * 3), side, side, 3];
  return logitsOf(await post(service.url, bodyOf({ pixels, shape }), { model: "clothing" }));
};

describe.skipIf(!present)("a teacher in ONNX", () => {
  let photos: Photographs;
  beforeAll(async () => {
    photos = await photographs();
  }, 60_000);

  test("says in its card what it is", async () => {
    const card = cardSchema.parse(await (await fetch(`${service.url}/v1/models/clothing`)).json());
    expect(card).toMatchObject({ classes: 10, state: "ready", bitStable: true, maxBatch: 32 });
    expect(card.labels?.slice(0, 2)).toEqual(["dress", "hat"]);
    expect(card.runtime.engine).toContain("onnxruntime");
    // The network's 3.4 million, batch norms folded in.
    expect(card.parameters).toBeGreaterThan(3.3e6);
  });

  test("names the class of 303 of 341 photographs, within 1 %", { timeout: 120_000 }, async () => {
    let right = 0;
    for (let from = 0; from < photos.labels.length; from += CHUNK) {
      const logits = await ask(photos.pixels.slice(from * PIXELS, (from + CHUNK) * PIXELS));
      for (let i = 0; i < CHUNK; i++) {
        const row = logits.subarray(i * 10, (i + 1) * 10);
        if (row.indexOf(Math.max(...row)) === photos.labels[from + i]) right += 1;
      }
    }
    console.log(`clothing validation through HTTP: ${right} of ${photos.labels.length}`);
    expect(Math.abs(right - 303)).toBeLessThanOrEqual(3);
  });

  test("answers what ONNX Runtime gives for the same pixels, whatever they are merged with", async () => {
    const pixels = photos.pixels.slice(0, 9 * PIXELS);
    const planes = new Float32Array(pixels.length);
    pixels.forEach((value, at) => {
      const [image, place, channel] = [Math.floor(at / PIXELS), Math.floor((at % PIXELS) / 3), at % 3];
      planes[(image * 3 + channel) * SIDE * SIDE + place] = (value / 255) * 2 - 1;
    });
    const session = await InferenceSession.create(onnx);
    const theirs = await session.run({ images: new Tensor("float32", planes, [9, 3, SIDE, SIDE]) });
    const expected = theirs.logits!.data as Float32Array;
    const ours = await ask(pixels);
    const error = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - ours[i]!)), 0);
    expect(error).toBeLessThan(1e-4);
    expect(await ask(pixels.slice(0, PIXELS))).toEqual(ours.slice(0, 10));
  });

  test("takes smaller images, which it enlarges", async () => {
    const small = new Uint8Array(64 * 64 * 3).map((_, i) => photos.pixels[i]!);
    expect(await ask(small, 64)).toHaveLength(10);
  });
});
