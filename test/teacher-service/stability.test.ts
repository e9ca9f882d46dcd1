import { describe, expect, test } from "vitest";
import { admitted } from "../../teacher-service/life/stability.ts";

const probe = (images: number, logits: number[], steady = true) => ({
  images,
  seconds: images / 100,
  logits: Float32Array.from(logits),
  steady,
});
const sizes = (probes: ReturnType<typeof probe>[]) => {
  const { probes: kept, bitStable } = admitted(probes);
  return [kept.map((each) => each.images), bitStable];
};

describe("which batch sizes are admitted", () => {
  test("those that agree bit for bit; the rest goes", () => {
    expect(sizes([probe(1, [0.1, 0.2000001]), probe(8, [0.1, 0.2]), probe(64, [0.1, 0.2])])).toEqual([
      [8, 64],
      true,
    ]);
  });

  test("a size whose positions differ is out, even if it is the only one left", () => {
    expect(sizes([probe(8, [1]), probe(64, [1], false)])).toEqual([[8], true]);
    expect(sizes([probe(8, [1], false), probe(64, [1], false)])).toEqual([[8, 64], false]);
  });

  test("between equally many the larger batch wins", () => {
    expect(sizes([probe(1, [1]), probe(64, [2])])).toEqual([[64], true]);
  });

  test("signs of zero count, and a network of NaN agrees with itself", () => {
    expect(sizes([probe(1, [0]), probe(8, [-0]), probe(16, [-0])])).toEqual([[8, 16], true]);
    expect(sizes([probe(1, [Number.NaN]), probe(8, [Number.NaN])])).toEqual([[1, 8], true]);
  });
});
