import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateSync } from "node:zlib";
import { UserError } from "@funmatch/config";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { numbersIn, readMat } from "../../student-trainer/data/mat.ts";
import { temporaryFolder } from "./pictures.ts";

/** Written by scipy: mat_golden.py. */
const golden = (name: string) => fileURLToPath(new URL(`golden/${name}`, import.meta.url));

describe("a MATLAB file", () => {
  test("holds numbers of every kind, in MATLAB's order", () => {
    const variables = readMat(golden("numbers.mat"));
    for (const kind of [
      "int8",
      "uint8",
      "int16",
      "uint16",
      "int32",
      "uint32",
      "int64",
      "uint64",
      "float32",
      "float64",
    ])
      expect(variables.get(kind), kind).toEqual({
        kind: "numbers",
        shape: [2, 3],
        values: Float64Array.of(0, 5, 1, 6, 100, 7),
      });
    expect([...numbersIn(golden("numbers.mat"), "negative")]).toEqual([-1.5, -2e300]);
    expect(variables.get("text")).toEqual({ kind: "text", text: "a text: caffè 日" });
    expect(variables.get("empty")).toMatchObject({ shape: [0, 0] });
    expect(variables.has("cells")).toBe(false);
  });

  test("may be compressed, as that of Flowers102", () => {
    expect([...numbersIn(golden("imagelabels.mat"), "labels").slice(0, 4)]).toEqual([1, 2, 3, 1]);
    expect([...readMat(golden("setid.mat")).keys()]).toEqual(["trnid", "valid", "tstid"]);
  });

  test("may hold records, as that of ImageNet's devkit", () => {
    const synsets = readMat(golden("meta.mat")).get("synsets");
    if (synsets?.kind !== "records") throw new Error("no records");
    expect(synsets.shape).toEqual([3, 1]);
    expect(synsets.fields.get("WNID")?.[1]).toEqual({ kind: "text", text: "n02007558" });
    expect(synsets.fields.get("ILSVRC2012_ID")?.[2]).toMatchObject({ values: Float64Array.of(3) });
  });
});

const written = (bytes: Uint8Array) => {
  const path = join(temporaryFolder(), "a.mat");
  writeFileSync(path, bytes);
  return path;
};
const header = readFileSync(golden("numbers.mat")).subarray(0, 128);
/** A file of one element. */
const file = (type: number, bytes: Uint8Array, size = bytes.length) => {
  const tag = Buffer.alloc(8);
  tag.writeUInt32LE(type, 0);
  tag.writeUInt32LE(size, 4);
  return Buffer.concat([header, tag, bytes]);
};
const words = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer);

test("text is stored in UTF-16 by MATLAB itself, in two bytes or one", () => {
  const named = (content: Buffer) => Buffer.concat([words(6, 8, 4, 0, 5, 8, 1, 2, 1, 1, 0x74, 0), content]);
  for (const content of [
    words(4, 4, 0x00e8_0061, 0),
    words(17, 4, 0x00e8_0061, 0),
    words(0x0002_0002, 0xe861),
  ])
    expect(readMat(written(file(14, named(content)))).get("t")).toEqual({ kind: "text", text: "aè" });
});

describe("what is wrong with one is told", () => {
  test.each<[string, Uint8Array, string]>([
    ["nothing in it", Buffer.alloc(0), "is not a MATLAB file"],
    ["another version", Buffer.from("MATLAB 7.3 MAT-file".padEnd(600)), 'save it by save(…, "-v7")'],
    ["big-endian", Buffer.concat([header.subarray(0, 126), Buffer.from("MI")]), "is not a MATLAB file"],
    ["cut off", readFileSync(golden("numbers.mat")).subarray(0, 150), "is damaged"],
    ["an element beyond the end", file(14, Buffer.alloc(8), 2 ** 31), "an element beyond the end"],
    ["no zlib stream", file(15, Buffer.from("not zlib")), "is damaged"],
    ["more than it may unpack to", file(15, deflateSync(Buffer.alloc(2 ** 27 + 9))), "is damaged"],
    ["an array without an end", file(14, words(6, 8, 6, 0)), "an array is cut off"],
    [
      "a huge array",
      file(14, words(6, 8, 6, 0, 5, 8, 65536, 65536, 1, 0, 2, 0)),
      "an array of 65536 x 65536",
    ],
  ])("%s", (_, bytes, message) => {
    expect(() => readMat(written(bytes))).toThrow(UserError);
    expect(() => readMat(written(bytes))).toThrow(message);
  });

  test("no such file, no such variable", () => {
    expect(() => readMat("/nowhere/a.mat")).toThrow("/nowhere/a.mat is missing");
    expect(() => numbersIn(golden("setid.mat"), "labels")).toThrow("has no numbers called labels");
    expect(() => numbersIn(golden("numbers.mat"), "text")).toThrow("has no numbers called text");
  });

  test.each(["numbers.mat", "meta.mat"])("%s with any bytes changed is read or refused", (name) => {
    const good = readFileSync(golden(name));
    const path = join(temporaryFolder(), "a.mat");
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        writeFileSync(path, bytes);
        try {
          readMat(path);
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
