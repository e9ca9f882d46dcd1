import { draws } from "@funmatch/views";
import { expect, test } from "vitest";
import { logitsSketch, sketchDistance } from "../../student-trainer/learn/logits-sketch.ts";

function noise(count: number, size: number, name: string): Float32Array {
  const stream = draws(1, name);
  return Float32Array.from({ length: count }, () => stream.normal() * size);
}

test("a sketch is the length of the logits and four signed sums of them", () => {
  const [length, ...sums] = logitsSketch(Float32Array.of(3, 4));
  expect(length).toBe(5);
  expect(sums).toHaveLength(4);
  for (const sum of sums) expect([1, 7]).toContain(Math.abs(sum));
});

test("sketches are as far apart as the logits, relative to their length", () => {
  const logits = noise(5000, 3, "logits");
  const sketch = logitsSketch(logits);
  expect(sketchDistance(sketch, logitsSketch(logits.slice()))).toBe(0);
  for (const relative of [1e-5, 1e-3, 1e-1]) {
    const error = noise(5000, 3 * relative, "error");
    const distance = sketchDistance(sketch, logitsSketch(logits.map((value, i) => value + error[i]!)));
    expect(distance).toBeGreaterThan(relative / 5);
    expect(distance).toBeLessThan(relative * 5);
  }
});
