import { type Card, cardSchema, limitsSchema, modelListSchema } from "@funmatch/wire";
import { expect, test } from "vitest";
import { DIGEST } from "./packing.ts";

const CARD: Card = {
  id: "prof",
  version: DIGEST,
  classes: 2,
  labels: ["shirt", "shoe"],
  input: { resolution: 64, valueRange: [-1, 1], channels: 3, dtypes: ["uint8", "float32"], resizes: true },
  maxBatch: 64,
  state: "ready",
  bitStable: true,
  parameters: 25_549_352,
  runtime: { engine: "TensorFlow 2.21.0", device: "CPU", compute: "float32", threads: 2, cuda: false },
};

test("a card, a list of cards and limits survive JSON", () => {
  const copy = <T>(value: T): unknown => JSON.parse(JSON.stringify(value));
  expect(cardSchema.parse(copy(CARD))).toEqual(CARD);
  expect(modelListSchema.parse(copy({ models: [CARD] }))).toEqual({ models: [CARD] });
  const limits = { maxImages: 256, maxBodyBytes: 32 * 2 ** 20, timeoutMs: 30_000 };
  expect(limitsSchema.parse(copy(limits))).toEqual(limits);
});

test("a later version's further members are passed over", () => {
  expect(cardSchema.parse({ ...CARD, licence: "MIT" })).toEqual(CARD);
});

test("a model that loads has no version yet; one that is ready has", () => {
  const loading = { ...CARD, state: "loading", version: "", classes: 0, labels: undefined, progress: 0.3 };
  expect(cardSchema.safeParse(loading).success).toBe(true);
  expect(cardSchema.parse({ ...CARD, state: "unloaded" })).toMatchObject({ version: CARD.version });
  const refused = cardSchema.safeParse({ ...loading, state: "ready" });
  expect(refused.error?.issues.map((issue) => issue.path.join("."))).toEqual(["version", "classes"]);
});

test("wrong cards are refused, naming the member", () => {
  const path = (card: object) => cardSchema.safeParse(card).error?.issues[0]?.path.join(".");
  expect(path({ ...CARD, labels: ["one"] })).toBe("labels");
  expect(path({ ...CARD, maxBatch: 0 })).toBe("maxBatch");
  expect(path({ ...CARD, input: { ...CARD.input, dtypes: ["float16"] } })).toBe("input.dtypes.0");
  expect(path({ ...CARD, progress: 2 })).toBe("progress");
});
