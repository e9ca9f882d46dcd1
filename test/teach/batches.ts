import { sha256 } from "@funmatch/wire";
import type { EvalBatch, TrainBatch } from "../../student-trainer/data/batch.ts";

/** `n` images of 4×4×3, over shared memory as the view threads make them. */
export async function someViews(n: number, first = 0): Promise<TrainBatch["views"]> {
  const data = new Uint8Array(new SharedArrayBuffer(n * 48));
  for (let i = 0; i < data.length; i++) data[i] = first + i * 7;
  return { shape: [n, 4, 4, 3], data, digest: await sha256(data) };
}

/** `n` images of 4×4×3, each of one colour. */
export async function smallViews(
  n: number,
  colour: (image: number, channel: number) => number,
): Promise<TrainBatch["views"]> {
  const data = new Uint8Array(new SharedArrayBuffer(n * 48));
  for (let i = 0; i < data.length; i++) data[i] = colour(Math.floor(i / 48), i % 3);
  return { shape: [n, 4, 4, 3], data, digest: await sha256(data) };
}

/** A training batch of `n` images, cut into chunks of `chunk`. */
export async function someBatch(step: number, n = 4, chunk = n): Promise<TrainBatch> {
  const views = await someViews(n, step);
  const chunks = [];
  for (let start = 0; start < n; start += chunk) {
    const count = Math.min(chunk, n - start);
    chunks.push({
      start,
      count,
      digest: await sha256(views.data.subarray(start * 48, (start + count) * 48)),
    });
  }
  const indices = Int32Array.from({ length: n }, (_, i) => step * n + i);
  return {
    step,
    epoch: 0,
    indices,
    labels: indices.map((i) => i % 5),
    lambda: 0.75,
    views,
    questions: [{ views, chunks }],
  };
}

/** Evaluation views of images start .. start+count-1; an image's bytes depend on its index alone. */
export async function someEvaluation(start: number, count: number): Promise<EvalBatch> {
  const data = new Uint8Array(new SharedArrayBuffer(count * 48));
  for (let i = 0; i < data.length; i++) data[i] = (start + Math.floor(i / 48)) * 13 + (i % 48) * 7;
  const indices = Int32Array.from({ length: count }, (_, i) => start + i);
  const views = {
    shape: [count, 4, 4, 3] as [number, number, number, number],
    data,
    digest: await sha256(data),
  };
  return { indices, labels: indices.map((i) => i % 5), views, teacherViews: [views] };
}
