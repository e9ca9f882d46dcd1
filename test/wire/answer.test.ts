import { decodeAnswer, encodeAnswer, floats, type LogitsAnswer, WireError } from "@funmatch/wire";
import { describe, expect, test } from "vitest";
import { binary, binaryHead, DIGEST, type Entry, join, map, shape, text } from "./packing.ts";

const LOGITS = Float32Array.from([0.1, -2, 3, 4, 5, Number.NaN]);
const ANSWER: LogitsAnswer = {
  model: "prof",
  version: DIGEST,
  digest: DIGEST.replace("0", "f"),
  logits: { dtype: "float32", shape: [2, 3], data: new Uint8Array(LOGITS.buffer) },
};

test("what a teacher packs, the trainer unpacks; the logits are a view of the message", () => {
  const message = encodeAnswer(ANSWER);
  const answer = decodeAnswer(message);
  expect(answer).toEqual(ANSWER);
  expect(answer.logits.data.buffer).toBe(message.buffer);
  expect(floats(answer.logits.data)).toEqual(LOGITS);
});

test("floats are a view where they are aligned and a copy where they are not", () => {
  const buffer = new ArrayBuffer(12);
  expect(floats(new Uint8Array(buffer, 4, 8)).buffer).toBe(buffer);
  const odd = floats(new Uint8Array(buffer, 1, 8));
  expect(odd.buffer).not.toBe(buffer);
  expect(odd.length).toBe(2);
  expect(floats(Buffer.from(buffer, 1, 8))).toEqual(odd); // whose slice() does not copy
  expect(() => floats(new Uint8Array(7))).toThrow(WireError);
});

const logitEntries = (changes: Record<string, number[]> = {}): Entry[] => [
  ["dtype", changes.dtype ?? text("float32")],
  ["shape", changes.shape ?? shape(1, 2)],
  ["data", changes.data ?? binary(new Uint8Array(8))],
];
const entries = (changes: Record<string, number[]> = {}): Entry[] => [
  ["model", changes.model ?? text("prof")],
  ["version", changes.version ?? text(DIGEST)],
  ["digest", changes.digest ?? text(DIGEST)],
  ["logits", changes.logits ?? map(...logitEntries(changes))],
];
const message = (changes: Record<string, number[]> = {}) => Uint8Array.from(map(...entries(changes)));

test("keys may come in any order", () => {
  const logits = map(...logitEntries().reverse());
  const reversed = Uint8Array.from(map(...entries({ logits }).reverse()));
  expect(decodeAnswer(reversed)).toEqual(decodeAnswer(message()));
});

describe("what is refused, naming the place", () => {
  test.each<[what: string, bytes: Uint8Array, detail: string]>([
    ["nothing", new Uint8Array(), "answer: truncated"],
    ["HTML", new TextEncoder().encode("<html>"), "answer: expected a map, got an integer"],
    [
      "a missing key",
      Uint8Array.from(map(...entries().slice(1))),
      "expected the keys model, version, digest, logits",
    ],
    [
      "a repeated key",
      Uint8Array.from(map(...entries().slice(0, 3), entries()[0]!)),
      'key of answer: repeated "model"',
    ],
    [
      "a foreign key",
      Uint8Array.from(map(...entries().slice(1), ["x", text("")])),
      'key of answer: unknown "x"',
    ],
    ["Object's own keys", Uint8Array.from(map(["__proto__", text("")], ...entries().slice(1))), "unknown"],
    ["a version that is no digest", message({ version: text("1.0") }), 'version: expected "sha256:"'],
    ["a number for a digest", message({ digest: [1] }), "digest: expected a string, got an integer"],
    ["another dtype", message({ dtype: text("float64") }), 'logits.dtype: expected "float32", got "float64"'],
    ["three dimensions", message({ shape: shape(1, 1, 2) }), "logits.shape: expected 2 dimensions, got 3"],
    ["a wrong shape", message({ shape: shape(3, 2) }), "logits.data: float32 [3,2] is 24 bytes, got 8"],
    [
      "an overflowing shape",
      message({ shape: shape(2 ** 31, 2 ** 31) }),
      "more bytes than a message can hold",
    ],
    ["a claim of 4 GiB", message({ data: binaryHead(2 ** 32 - 4) }), "logits.data: truncated"],
    [
      "a long name",
      message({ model: text("m".repeat(2000)) }),
      "model: expected a string of at most 1024 bytes",
    ],
    ["bytes left over", join(message(), [0]), "expected the end of the message"],
    [
      "an extension type",
      message({ logits: [0xd6, 1, 0, 0, 0, 0] }),
      "logits: expected a map, got an extension",
    ],
  ])("%s", (_what, bytes, detail) => {
    expect(() => decodeAnswer(bytes)).toThrow(WireError);
    expect(() => decodeAnswer(bytes)).toThrow(detail);
  });

  test("an answer cut short anywhere", () => {
    const whole = message();
    for (let length = 0; length < whole.length; length++) {
      expect(() => decodeAnswer(whole.subarray(0, length))).toThrow("truncated");
    }
  });

  test("an answer that could not be read is not packed", () => {
    expect(() => encodeAnswer({ ...ANSWER, version: "1" })).toThrow("version: expected");
    expect(() => encodeAnswer({ ...ANSWER, logits: { ...ANSWER.logits, shape: [3, 3] } })).toThrow(
      "36 bytes, got 24",
    );
  });
});
