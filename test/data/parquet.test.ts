import { copyFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { UserError } from "@funmatch/config";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openPool } from "../../student-trainer/data/pool.ts";
import { openSource, type Source } from "../../student-trainer/data/source.ts";
import { temporaryFolder } from "./pictures.ts";

/** Written by parquet_golden.py: 12 pictures each, picture i of shade 10 i and class i % 3. */
const GOLDEN = fileURLToPath(new URL("golden", import.meta.url));
const golden = (name: string) => join(GOLDEN, name);

/** Shades and labels, asked for from the last to the first. */
async function seen(source: Source): Promise<[shade: number, label: string][]> {
  const all: [number, string][] = [];
  for (let i = source.size - 1; i >= 0; i--) {
    const { data, width } = await source.read(i);
    expect(width).toBe(12);
    all.unshift([data[0]!, source.labels[source.label(i)]!]);
  }
  return all;
}
const expected = (names: string[]) => Array.from({ length: 12 }, (_, i) => [10 * i, names[i % 3]!]);

describe("Parquet files", () => {
  test.each(["none", "snappy", "gzip", "brotli", "lz4", "zstd"])("compressed by %s", async (codec) => {
    const source = await openSource({ parquet: golden(`${codec}.parquet`) });
    expect(await seen(source)).toEqual(expected(["0", "1", "2"]));
    expect(source.nameOf(7)).toBe(`row 7 of ${golden(`${codec}.parquet`)}`);
  });

  test.each([
    ["several pages in a row group", "pages"],
    ["pages of the second version", "second"],
    ["checksums and a page index", "checked"],
    ["delta encodings", "delta"],
    ["pages of several Snappy blocks", "large"],
    ["a dictionary of several Snappy blocks", "large-dictionary"],
    ["labels of 32 bits, and pictures that are plain bytes", "int32"],
  ])("with %s", async (_, name) => {
    expect(await seen(await openSource({ parquet: golden(`${name}.parquet`) }))).toEqual(
      expected(["0", "1", "2"]),
    );
  });

  test("with labels of text: classes in name order, or that of a file", async () => {
    const parquet = golden("text.parquet");
    expect(await seen(await openSource({ parquet }))).toEqual(expected(["lynx", "wolf", "yak"]));
    const classes = join(temporaryFolder(), "names.txt");
    writeFileSync(classes, "yak\nwolf\nemu\nlynx\n");
    const ordered = await openSource({ parquet, classes });
    expect(ordered.labels).toEqual(["yak", "wolf", "emu", "lynx"]);
    expect(ordered.label(0)).toBe(3);
  });

  test("of the datasets library: names of classes, columns of any name, several files or a folder", async () => {
    const source = await openSource({ parquet: golden("hf-*.parquet") });
    expect(await seen(source)).toEqual(expected(["lynx", "wolf", "yak"]));
    expect(source.nameOf(7)).toBe(`row 1 of ${golden("hf-00001-of-00002.parquet")}`);
    const folder = temporaryFolder();
    for (const shard of ["hf-00000-of-00002", "hf-00001-of-00002"])
      copyFileSync(golden(`${shard}.parquet`), join(folder, `${shard}.parquet`));
    const same = await openSource({ parquet: folder, image: "img", label: "fine" });
    expect(same.digest).toBe(source.digest);
    const part = await openSource({ parquet: golden("hf-{00000,00001}-of-00002.parquet"), split: "[:50%]" });
    expect(part.size).toBe(6);
    const classes = join(folder, "names.txt");
    writeFileSync(classes, "a\nb\nc\nd\n");
    const renamed = await openSource({ parquet: folder, classes });
    expect(renamed.labels).toEqual(["a", "b", "c", "d"]);
    expect(renamed.digest).not.toBe(source.digest);
  });

  test("make the same batches from any number of threads, compressed or not", async () => {
    const digests: string[][] = [];
    for (const [name, workers] of [
      ["none", 1],
      ["large", 2],
      ["zstd", 2],
    ] as const) {
      const pool = await openPool({
        ...{ train: { parquet: golden(`${name}.parquet`) }, workers, splits: {} },
        ...{ seed: 3, batch: 5, resolution: 8, chunk: 5, view: "ic", mixup: 1 },
      });
      const batches = await Promise.all([1, 2, 3].map((step) => pool.train(step)));
      digests.push(batches.map(({ views }) => views.digest));
      await pool.close();
    }
    expect(digests[1]).toEqual(digests[0]);
    expect(digests[2]).toEqual(digests[0]);
  });

  test("with nulls: such a picture is corrupt, the others are read", async () => {
    const source = await openSource({ parquet: golden("nulls.parquet") });
    await expect(source.read(3)).rejects.toThrow(/^row 3 of .*nulls.parquet has no picture in it/);
    await expect(source.read(7)).rejects.toMatchObject({ name: "CorruptImage" });
    expect((await source.read(8)).data[0]).toBe(80);
  });

  test("whose bytes were damaged later: the picture is corrupt; one that became shorter is an error", async () => {
    const damaged = join(temporaryFolder(), "a.parquet");
    const bytes = readFileSync(golden("large.parquet"));
    const source = await openSource({ parquet: golden("large.parquet") });
    bytes.fill(0xff, 20_000, 30_000);
    writeFileSync(damaged, bytes);
    const other = await openSource({ parquet: damaged });
    await expect(other.read(3)).rejects.toMatchObject({ name: "CorruptImage" });
    expect(await source.read(3)).toMatchObject({ width: 12 });
    truncateSync(damaged, 30_000);
    const again = join(temporaryFolder(), "b.parquet");
    copyFileSync(golden("none.parquet"), again);
    const stored = await openSource({ parquet: again });
    truncateSync(again, 300);
    await expect(stored.read(11)).rejects.toThrow("byte 1866: a page is missing");
  });
});

describe("mistakes are told", () => {
  test.each<[string, object, string]>([
    ["no such file", { parquet: "/nowhere/a.parquet" }, "cannot be read (ENOENT)"],
    ["no file of that pattern", { parquet: "/nowhere/*.parquet" }, "no file matches"],
    ["another column of pictures", { parquet: golden("none.parquet"), image: "img" }, "it has image, label"],
    ["another column of labels", { parquet: golden("none.parquet"), label: "fine" }, "no column fine"],
    ["labels that are pictures", { parquet: golden("none.parquet"), label: "image" }, "holds no labels"],
    ["pictures that are labels", { parquet: golden("none.parquet"), image: "label" }, "holds no pictures"],
    ["a row without a label", { parquet: golden("unlabelled.parquet") }, "a row has no label (null)"],
    ["a hidden label", { parquet: golden("hidden.parquet") }, "images without a label (-1)"],
    ["files with other names", { parquet: golden("{hf-00000-of-00002,none}.parquet") }, "other names than"],
  ])("%s", async (_, spec, message) => {
    await expect(openSource(spec as { parquet: string })).rejects.toThrow(message);
    await expect(openSource(spec as { parquet: string })).rejects.toThrow(UserError);
  });

  const written = (bytes: Uint8Array) => {
    const parquet = join(temporaryFolder(), "a.parquet");
    writeFileSync(parquet, bytes);
    return { parquet };
  };
  const none = readFileSync(golden("none.parquet"));

  test.each<[string, Uint8Array, string]>([
    ["an empty file", Buffer.alloc(0), "it has 0 bytes"],
    ["a file that is cut off", none.subarray(0, 2000), "does not end with PAR1"],
    ["an encrypted one", Buffer.from("PAR1....\0\0\0\0PARE"), "encrypted"],
    [
      "metadata longer than the file",
      Buffer.from("PAR1\xff\xff\xff\x0fPAR1", "latin1"),
      "it claims 268435455",
    ],
    ["a list of two thousand million", footer("19 fc ff ff ff ff 07 00"), "cut off"],
    ["lists in lists", footer(`19 ${"19 ".repeat(40)} 00`), "nested too deep"],
    ["a number without an end", footer(`15 ${"ff ".repeat(40)} 00`), "without an end"],
    ["an empty footer", footer("00"), "its metadata is damaged"],
    ["no pages", Buffer.concat([Buffer.from("PAR1"), none.subarray(-1200)]), "a.parquet"],
  ])("%s", async (_, bytes, message) => {
    await expect(openSource(written(bytes))).rejects.toThrow(message);
    await expect(openSource(written(bytes))).rejects.toThrow(UserError);
  });

  function footer(hex: string): Buffer {
    const metadata = Buffer.from(hex.replaceAll(" ", ""), "hex");
    const length = Buffer.alloc(4);
    length.writeUInt32LE(metadata.length);
    return Buffer.concat([Buffer.from("PAR1"), metadata, length, Buffer.from("PAR1")]);
  }

  test.each(["none", "snappy", "second", "delta", "pages"])(
    "%s with any bytes changed is read or refused",
    async (name) => {
      const good = readFileSync(golden(`${name}.parquet`));
      const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
      const path = join(temporaryFolder(), "a.parquet");
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
          const bytes = Buffer.from(good);
          for (const [at, value] of changes) bytes[at] = value;
          writeFileSync(path, bytes);
          try {
            const source = await openSource({ parquet: path });
            for (let i = 0; i < source.size; i += 5) await source.read(i).catch(onlyUsersMistakes);
          } catch (error) {
            onlyUsersMistakes(error);
          }
        }),
        { numRuns: 60, seed: 11 },
      );
    },
  );

  function onlyUsersMistakes(error: unknown): void {
    expect(error).toBeInstanceOf(UserError);
  }
});
