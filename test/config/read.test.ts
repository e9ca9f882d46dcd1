import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig, secret, UserError } from "@funmatch/config";
import { expect, test } from "vitest";
import { z } from "zod";

const schema = z.strictObject({
  batch: z.int().positive().default(128),
  optimizer: z.strictObject({ kind: z.literal("adam"), learningRate: z.number() }).optional(),
  length: z.union([z.strictObject({ epochs: z.number() }), z.strictObject({ steps: z.number() })]).optional(),
  teachers: z.array(z.strictObject({ url: z.string() })).default([]),
  mixup: z.union([z.number(), z.strictObject({ p: z.number() })]).optional(),
  data: z
    .object({ maxCorrupt: z.number().optional() })
    .catchall(z.strictObject({ folder: z.string() }))
    .optional(),
});

function file(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), "config-")), "run.yaml");
  writeFileSync(path, text);
  return path;
}

test("values of the file, defaults, and overrides on top", () => {
  const path = file("optimizer: { kind: adam, learningRate: 3e-3 }");
  expect(readConfig(schema, path, ["optimizer.learningRate=1e-2", "length.steps=10"])).toEqual({
    batch: 128,
    optimizer: { kind: "adam", learningRate: 0.01 },
    length: { steps: 10 },
    teachers: [],
  });
});

test.each([
  ["optimiser: {}", 'unknown key "optimiser": did you mean "optimizer"?'],
  ["optimizer: { kind: adam, learningrate: 1 }", 'did you mean "learningRate"?'],
  ["teachers: [{ ulr: x }]", 'unknown key "teachers.0.ulr": did you mean "url"?'],
  ["length: { epoch: 3 }", 'did you mean "epochs"?'],
  ["length: { epochs: 3, steps: 4 }", '"length.steps" cannot stand beside the other keys there'],
  ["mixup: { q: 1 }", 'unknown key "mixup.q": did you mean "p"?'],
  [
    "data: { maxCorupt: 0.1 }",
    'data.maxCorupt: Invalid input: expected object, received number; did you mean "maxCorrupt"?',
  ],
  ["batch: many", "batch: Invalid input: expected number"],
  ["- batch", "expected keys and values"],
  ["batch: [1", "not valid YAML"],
  ["batch: *other", "not valid YAML"],
])("%s is refused with: %s", (text, message) => {
  expect(() => readConfig(schema, file(text))).toThrow(UserError);
  expect(() => readConfig(schema, file(text))).toThrow(message);
});

test("an override takes the place of what it excludes", () => {
  const path = file("length: { epochs: 1000 }");
  const either = [["length.epochs", "length.steps"]];
  expect(readConfig(schema, path, ["length.steps=20"], either).length).toEqual({ steps: 20 });
  expect(readConfig(schema, path, ["length.epochs=2"], either).length).toEqual({ epochs: 2 });
  expect(readConfig(schema, file(""), ["length.steps=20"], either).length).toEqual({ steps: 20 });
});

test("a missing file and a malformed override say so", () => {
  expect(() => readConfig(schema, "/nowhere/run.yaml")).toThrow("there is no config file /nowhere/run.yaml");
  expect(() => readConfig(schema, file(""), ["batch"])).toThrow("expected key=value");
});

test("secrets come from the environment", () => {
  process.env.FUNMATCH_TEST_SECRET = "s3";
  expect(secret("env:FUNMATCH_TEST_SECRET")).toBe("s3");
  expect(secret("plain")).toBe("plain");
  expect(() => secret("env:FUNMATCH_NOT_SET")).toThrow("FUNMATCH_NOT_SET, which is not set");
});
