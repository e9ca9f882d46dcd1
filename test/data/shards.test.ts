import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { UserError } from "@funmatch/config";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openPool } from "../../student-trainer/data/pool.ts";
import { shardPaths } from "../../student-trainer/data/shard-paths.ts";
import { openSource, type Source } from "../../student-trainer/data/source.ts";
import { membersOf } from "../../student-trainer/data/tar.ts";
import { pictureFolder, temporaryFolder, writePicture } from "./pictures.ts";
import { pax, tarOf, type Written } from "./tars.ts";

/** Three shards of two pictures each, written by the system's tar. */
async function shards(): Promise<string> {
  const folder = temporaryFolder();
  for (const shard of [0, 1, 2]) {
    const files: string[] = [];
    for (const place of [0, 1]) {
      const i = 2 * shard + place;
      const name = `sample${i}`;
      await writePicture(join(folder, `in/${name}.jpg`), i, 20 + i, 30);
      writeFileSync(join(folder, `in/${name}.cls`), `${i % 3}\n`);
      files.push(`${name}.cls`, `${name}.jpg`);
    }
    execFileSync("tar", ["-cf", join(folder, `data-00${shard}.tar`), "-C", join(folder, "in"), ...files]);
  }
  return folder;
}

const entries = (source: Source) =>
  Array.from({ length: source.size }, (_, i) => [source.nameOf(i), source.label(i)]);

function written(members: Written[]): string {
  const path = join(temporaryFolder(), "a.tar");
  writeFileSync(path, tarOf(members));
  return path;
}

describe("WebDataset shards", () => {
  test("are read in order, each image alone", async () => {
    const folder = await shards();
    const source = await openSource({ shards: join(folder, "data-{000..002}.tar") });
    expect(source.labels).toEqual(["0", "1", "2"]);
    expect(entries(source)).toEqual(
      [0, 1, 2, 3, 4, 5].map((i) => [`sample${i} in ${folder}/data-00${Math.floor(i / 2)}.tar`, i % 3]),
    );
    for (const i of [5, 0, 3]) expect(await source.read(i)).toMatchObject({ width: 20 + i, height: 30 });
    const globbed = await openSource({ shards: join(folder, "data-*.tar") });
    expect(globbed.digest).toBe(source.digest);
    const fewer = await openSource({ shards: join(folder, "data-{000,002}.tar") });
    expect(fewer.size).toBe(4);
    expect(fewer.digest).not.toBe(source.digest);
  });

  test("make the same batches as the same pictures in a folder, from any number of threads", async () => {
    const folder = await pictureFolder();
    const names = [
      "cat/a.JPEG",
      "cat/b.jpg",
      "cat/c.png",
      "cat/é.webp",
      "dog/4.jpg",
      "dog/5.jpg",
      "dog/6.jpg",
    ];
    const path = written(
      names.flatMap((name, i) => [
        { name: `train/${i}.${name.split(".")[1]}`, bytes: readFileSync(join(folder, name)) },
        { name: `train/${i}.json`, bytes: JSON.stringify({ label: name.split("/")[0], more: [1] }) },
      ]),
    );
    const digests = [];
    for (const [train, workers] of [
      [{ folder }, 1],
      [{ shards: path }, 1],
      [{ shards: path }, 2],
    ] as const) {
      const pool = await openPool({
        ...{ train, workers, splits: {} },
        ...{ seed: 3, batch: 5, resolution: 8, chunk: 5, view: "ic", mixup: 1 },
      });
      expect(pool.sources.train!.labels).toEqual(["cat", "dog"]);
      const batches = await Promise.all([1, 2].map((step) => pool.train(step)));
      digests.push(batches.map(({ views }) => views.digest));
      await pool.close();
    }
    expect(digests[1]).toEqual(digests[0]);
    expect(digests[2]).toEqual(digests[0]);
  });

  test("may have parts, and class names from a file", async () => {
    const folder = await shards();
    const classes = join(folder, "names.txt");
    writeFileSync(classes, "cat\ndog\nemu\nyak\n");
    const source = await openSource({ shards: join(folder, "*.tar"), classes, split: "[:50%]" });
    expect(source.size).toBe(3);
    expect(source.labels).toEqual(["cat", "dog", "emu", "yak"]);
  });

  test("with a corrupt image name it, and the shard", async () => {
    const source = await openSource({
      shards: written([
        { name: "x.jpg", bytes: "broken" },
        { name: "x.cls", bytes: "0" },
      ]),
    });
    await expect(source.read(0)).rejects.toThrow(/^x in .*a\.tar cannot be read: not a JPEG/);
  });

  test("that vanish or shrink after they were indexed are an error of the disk", async () => {
    const folder = await shards();
    const source = await openSource({ shards: join(folder, "data-{000..001}.tar") });
    truncateSync(join(folder, "data-000.tar"), 1024);
    rmSync(join(folder, "data-001.tar"));
    await expect(source.read(1)).rejects.toThrow("has become shorter");
    await expect(source.read(2)).rejects.toThrow("cannot be read (ENOENT)");
  });
});

test.each<[string, Written[]]>([
  ["has no image", [{ name: "x.cls", bytes: "0" }]],
  ["has no label", [{ name: "x.jpg" }]],
  ["has more than one image", [{ name: "x.jpg" }, { name: "x.png" }, { name: "x.cls", bytes: "0" }]],
  ["has two .jpg", [{ name: "x.jpg" }, { name: "x.JPG" }, { name: "x.cls", bytes: "0" }]],
  ["has no class in its .cls", [{ name: "x.jpg" }, { name: "x.cls", bytes: " \n" }]],
  ["has no class in its .json", [{ name: "x.jpg" }, { name: "x.json", bytes: '{"label":null}' }]],
  ["has no class in its .json", [{ name: "x.jpg" }, { name: "x.json", bytes: "{" }]],
  ["holds no images", [{ name: ".hidden.jpg" }, { name: "README" }]],
])("a sample that %s is refused", async (message, members) => {
  await expect(openSource({ shards: written(members) })).rejects.toThrow(message);
});

describe("a tar", () => {
  const listed = (bytes: Uint8Array) =>
    [...membersOf({ path: "a.tar", size: bytes.length, read: (at, n) => bytes.subarray(at, at + n) })].map(
      ({ name, offset, size }) => [name, Buffer.from(bytes.subarray(offset, offset + size)).toString()],
    );

  test("has names in the header, its prefix, pax records and GNU's long names", () => {
    const long = `${"long/".repeat(60)}x.jpg`;
    const bytes = tarOf([
      { name: "folder/", type: "5" },
      { name: "a.jpg", bytes: "A", prefix: "deep/er" },
      pax({ path: "é/ü.jpg", mtime: "1.5" }),
      { name: "short", bytes: "B".repeat(513) },
      { name: "././@LongLink", type: "L", bytes: `${long}\0` },
      { name: "cut", bytes: "C" },
      { name: "link", type: "2" },
      pax({ size: "3" }),
      { name: "d", bytes: "DDD", size: "00000000000" },
      { name: "e", bytes: "E", size: "\x80\0\0\0\0\0\0\0\0\0\0\x01" },
    ]);
    expect(listed(bytes)).toEqual([
      ["deep/er/a.jpg", "A"],
      ["é/ü.jpg", "B".repeat(513)],
      [long, "C"],
      ["d", "DDD"],
      ["e", "E"],
    ]);
  });

  test.each<[string, Buffer]>([
    ["checksum is wrong", Buffer.alloc(1024, 7)],
    ["cut off within a header", tarOf([{ name: "a", bytes: "A" }], 0).subarray(0, 500)],
    ["reaches beyond the end", tarOf([{ name: "a", bytes: "A".repeat(600) }], 0).subarray(0, 1024)],
    ["reaches beyond the end", tarOf([{ name: "a", size: "77777777777" }])],
    ["reaches beyond the end", tarOf([pax({ size: "999999999999999" }), { name: "a" }])],
    ["size of a member is not a number", tarOf([{ name: "a", size: "-1" }])],
    ["size of a member is not a number", tarOf([{ name: "a", size: "\x80".padEnd(12, "\xff") }])],
    ["pax size is not a number", tarOf([pax({ size: "-5" }), { name: "a" }])],
    ["pax header is damaged", tarOf([{ name: "p", type: "x", bytes: "99 path=x\n" }])],
    ["pax header is damaged", tarOf([{ name: "p", type: "x", bytes: "0 a=b\n" }])],
    ["extended header of 1048577 bytes", tarOf([{ name: "p", type: "x", bytes: "x".repeat(1048577) }])],
    ["sparse files are not read", tarOf([{ name: "a", type: "S" }])],
    ["sparse files are not read", tarOf([pax({ "GNU.sparse.major": "1" }), { name: "a" }])],
    ["unknown type", tarOf([{ name: "a", type: "Z" }])],
    ["a link, device or folder with contents", tarOf([{ name: "a", type: "5", bytes: "x" }])],
    ["is compressed", gzipSync(Buffer.from(Array.from({ length: 2000 }, (_, i) => (i * i) % 251)))],
  ])("whose %s is refused", (message, bytes) => {
    expect(() => listed(bytes)).toThrow(UserError);
    expect(() => listed(bytes)).toThrow(message);
  });

  test("with any byte changed is read or refused, never read beyond its end", () => {
    const good = tarOf([pax({ path: "x.jpg" }), { name: "a", bytes: "A" }, { name: "b", bytes: "B" }]);
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(good.length), (changes, end) => {
        const bytes = Buffer.from(good.subarray(0, end));
        for (const [at, value] of changes) if (at < end) bytes[at] = value;
        const read = (at: number, n: number) => {
          expect(at + n).toBeLessThanOrEqual(bytes.length);
          return bytes.subarray(at, at + n);
        };
        try {
          for (const { offset, size } of membersOf({ path: "a.tar", size: bytes.length, read }))
            expect(offset + size).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
      }),
    );
  });
});

describe("a pattern of shards", () => {
  test("counts with its digits, names several, multiplies, and matches what is there", () => {
    expect(shardPaths("d-{08..11}.tar")).toEqual(["d-08.tar", "d-09.tar", "d-10.tar", "d-11.tar"]);
    expect(shardPaths("d-{9..10}.tar")).toEqual(["d-9.tar", "d-10.tar"]);
    expect(shardPaths("{a,b}/{0..1}.tar")).toEqual(["a/0.tar", "a/1.tar", "b/0.tar", "b/1.tar"]);
    const folder = temporaryFolder();
    mkdirSync(join(folder, "s"));
    for (const name of ["b.tar", "a.tar", "c.txt"]) writeFileSync(join(folder, "s", name), "");
    expect(shardPaths(`${folder}/*/?.tar`)).toEqual([`${folder}/s/a.tar`, `${folder}/s/b.tar`]);
  });

  test.each([
    ["/nowhere/*.tar", "no file matches"],
    ["{3..1}.tar", "counts down"],
    ["{0..999999999}.tar", "more than 100000 shards"],
    ["{0..999}{0..999}.tar", "more than 100000 shards"],
    ["{a,a}.tar", "names a shard twice"],
  ])("%s is refused", (pattern, message) => expect(() => shardPaths(pattern)).toThrow(message));
});
