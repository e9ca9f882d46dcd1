import { readFile, truncate, writeFile } from "node:fs/promises";
import { type NpyArray, namesInNpz, readNpy, readNpz, readNpzMember, writeNpz } from "@funmatch/models";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesOf, npy, scratchFile, zip } from "./zip-files.ts";

const golden = new URL("../golden/", import.meta.url).pathname;
const F4 = "'<f4'";
const floats = (...values: number[]) => bytesOf(Float32Array.from(values));

describe("reading", () => {
  test("what numpy wrote", async () => {
    const arrays = await readNpz(`${golden}distances.npz`);
    expect(arrays.get("student")).toMatchObject({ dtype: "float32", shape: [7, 13] });
    expect(arrays.get("agree_k=5")).toEqual({
      dtype: "int32",
      shape: [7],
      data: Int32Array.of(0, 0, 0, 1, 0, 0, 0),
    });
  });

  test("stored, compressed and zip64 members alike", async () => {
    for (const options of [{}, { compress: true }, { forceZip64Format: true }]) {
      const path = await zip({ "a/b.npy": npy(F4, "(2,)", floats(1, -2)) }, options);
      expect((await readNpz(path)).get("a/b")?.data).toEqual(Float32Array.of(1, -2));
    }
  });

  test("only what is asked for", async () => {
    const path = await zip({
      "params/w.npy": npy(F4, "()", floats(3)),
      "opt/mu.npy": npy("'|O'", "()", [0]),
    });
    expect(await namesInNpz(path)).toEqual(["params/w", "opt/mu"]);
    const arrays = await readNpz(path, { only: (name) => name.startsWith("params/") });
    expect([...arrays]).toEqual([["params/w", { dtype: "float32", shape: [], data: Float32Array.of(3) }]]);
  });

  test("bfloat16, which numpy calls |V2, and float16, as float32", async () => {
    const path = await zip({
      "b.npy": npy("'|V2'", "(4,)", bytesOf(Uint16Array.of(0x3f80, 0xc040, 0x7f80, 0x0001))),
      "h.npy": npy("'<f2'", "(5,)", bytesOf(Uint16Array.of(0x3c00, 0xc200, 0x7c00, 0x0001, 0x3555))),
    });
    const arrays = await readNpz(path);
    expect(arrays.get("b")).toEqual({
      dtype: "bfloat16",
      shape: [4],
      data: Float32Array.of(1, -3, Number.POSITIVE_INFINITY, 2 ** -133),
    });
    expect(arrays.get("h")?.data).toEqual(
      Float32Array.of(1, -3, Number.POSITIVE_INFINITY, 2 ** -24, 0.333251953125),
    );
  });

  test("Fortran order becomes row-major", async () => {
    const path = await scratchFile("f.npy");
    await writeFile(path, npy(F4, "(2, 3)", floats(1, 4, 2, 5, 3, 6), true));
    expect((await readNpy(path)).data).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
  });

  test("64-bit numbers", async () => {
    const path = await zip({ "n.npy": npy("'<i8'", "(1,)", bytesOf(BigInt64Array.of(-5n))) });
    expect((await readNpz(path)).get("n")?.data).toEqual(BigInt64Array.of(-5n));
  });
});

describe("hostile files are refused before anything large is allocated", () => {
  const refused: [what: string, member: Buffer, message: RegExp][] = [
    ["pickles", npy("'|O'", "(1,)", [0x80, 4, 0x2e]), /evil: holds Python objects .*pickles/],
    ["structured dtypes", npy("[('a', '<f4')]", "(1,)", floats(1)), /evil: structured dtype/],
    ["unknown dtypes", npy("'<c8'", "(1,)", floats(1, 2)), /evil: dtype "<c8" is not read/],
    ["big-endian numbers", npy("'>f4'", "(1,)", floats(1)), /evil: dtype ">f4" is not read/],
    ["shapes that claim more than there is", npy(F4, "(1000000000,)", floats(1)), /takes 4000000000 bytes/],
    ["shapes that overflow", npy(F4, "(9007199254740991, 4096)", floats(1)), /takes Infinity bytes/],
    ["negative sizes", npy(F4, "(-1,)", floats(1)), /header is not one that numpy writes/],
    ["code in the header", npy("__import__('os')", "(1,)", floats(1)), /header is not one/],
    ["a name from Object's prototype as dtype", npy("'constructor'", "(1,)", floats(1)), /is not read/],
    ["more bytes than the shape", npy(F4, "(1,)", floats(1, 2)), /takes 4 bytes, the file holds 8/],
    ["other files", Buffer.from("hello, world"), /not a .npy array/],
    ["empty files", Buffer.alloc(0), /ends inside its header/],
  ];
  test.each(refused)("%s", async (_, member, message) => {
    await expect(readNpz(await zip({ "evil.npy": member }))).rejects.toThrow(message);
    await expect(readNpz(await zip({ "evil.npy": member }, { compress: true }))).rejects.toThrow(message);
  });

  test("a header that claims to be huge", async () => {
    const huge = Buffer.from("\x93NUMPY\x02\x00\xff\xff\xff\x7f", "latin1");
    await expect(readNpz(await zip({ "evil.npy": huge }))).rejects.toThrow(
      /claims a header of 2147483647 bytes/,
    );
  });

  test("a bomb: small, but gigabytes once unpacked", async () => {
    const path = await zip(
      { "zeros.npy": npy(F4, "(4194304,)", new Uint8Array(2 ** 24)) },
      { compress: true },
    );
    await expect(readNpz(path, { maxBytes: 2 ** 20 })).rejects.toThrow(/more than 1048576 bytes unpacked/);
    const lying = await readFile(path);
    // The central directory's uncompressed size is what the reader goes by.
    const entry = lying.indexOf(Buffer.from("PK\x01\x02", "latin1"));
    lying.writeUInt32LE(0x3fffffff, entry + 24);
    await writeFile(path, lying);
    await expect(readNpz(path)).rejects.toThrow(/more than the file can hold/);
  });

  test("truncated anywhere, or one byte changed", async () => {
    const whole = await zip({ "w.npy": npy(F4, "(4,)", floats(1, 2, 3, 4)) });
    const size = (await readFile(whole)).length;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: size - 1 }), async (length) => {
        const path = await scratchFile();
        await writeFile(path, await readFile(whole));
        await truncate(path, length);
        await expect(readNpz(path)).rejects.toThrow(/.+/);
      }),
      { numRuns: 30 },
    );
    const changed = await readFile(whole);
    changed[changed.indexOf(bytesOf(Float32Array.of(2))) + 1]! ^= 1;
    await writeFile(whole, changed);
    await expect(readNpz(whole)).rejects.toThrow(/w: its checksum is wrong/);
  });

  test("names that climb out of a folder, or come twice", async () => {
    const array = npy(F4, "()", floats(1));
    const path = await zip({ "aa/etc.npy": array, "bb/etc.npy": array });
    const content = await readFile(path, "latin1");
    await writeFile(path, content.replaceAll("aa/etc", "../etc"), "latin1");
    await expect(readNpz(path)).rejects.toThrow(/invalid relative path/);
    await writeFile(path, content.replaceAll("aa/etc", "bb/etc"), "latin1");
    await expect(readNpz(path)).rejects.toThrow(/bb\/etc: occurs twice/);
  });

  test("a file that is not there, and one that is no zip", async () => {
    await expect(readNpz("nowhere.npz")).rejects.toThrow("there is no file nowhere.npz");
    const path = await scratchFile();
    await writeFile(path, "not a zip file, but long enough to be taken for one");
    await expect(readNpz(path)).rejects.toThrow(/is not an .npz file/);
  });
});

describe("writing", () => {
  test("any arrays come back as they were", async () => {
    const array = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }).chain((shape) => {
      const size = shape.reduce((product, d) => product * d, 1);
      const values = <T>(of: fc.Arbitrary<T>) => fc.array(of, { minLength: size, maxLength: size });
      return fc.oneof(
        values(fc.float()).map((v): NpyArray => ({ dtype: "float32", shape, data: Float32Array.from(v) })),
        values(fc.double()).map((v): NpyArray => ({ dtype: "float64", shape, data: Float64Array.from(v) })),
        values(fc.integer()).map((v): NpyArray => ({ dtype: "int32", shape, data: Int32Array.from(v) })),
        values(fc.integer({ min: 0, max: 255 })).map(
          (v): NpyArray => ({ dtype: "uint8", shape, data: Uint8Array.from(v) }),
        ),
      );
    });
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(
          fc.stringMatching(/^[a-z0-9/_-]*[a-z]$/).filter((n) => !n.startsWith("/") && !n.includes("//")),
          array,
        ),
        async (arrays) => {
          const path = await scratchFile();
          await writeNpz(path, arrays);
          expect(Object.fromEntries(await readNpz(path))).toEqual({ ...arrays });
        },
      ),
      { numRuns: 30 },
    );
  });

  test("equal arrays make equal files", async () => {
    const arrays = { w: { dtype: "float32" as const, shape: [2], data: Float32Array.of(1, 2) } };
    const [one, two] = [await scratchFile(), await scratchFile()];
    await writeNpz(one, arrays);
    await writeNpz(two, arrays);
    expect(await readFile(one)).toEqual(await readFile(two));
  });

  test("bfloat16 rounds to nearest, ties to even", async () => {
    const path = await scratchFile();
    const data = Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, Number.NaN);
    await writeNpz(path, { w: { dtype: "bfloat16", shape: [4], data } });
    expect((await readNpz(path)).get("w")?.data).toEqual(Float32Array.of(1, 1, 1 + 2 ** -6, Number.NaN));
    expect((await readNpzMember(path, "w")).toString("latin1")).toContain("'descr': '|V2'");
  });

  test("data that does not fit its shape is refused, and leaves no file", async () => {
    const path = await scratchFile();
    const wrong = { w: { dtype: "float32" as const, shape: [3], data: Float32Array.of(1) } };
    await expect(writeNpz(path, wrong)).rejects.toThrow("w: 4 bytes do not make shape [3] of float32");
    await expect(readFile(path)).rejects.toThrow(/ENOENT/);
  });
});
