import { fork } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askChild } from "../ask-child.ts";
import { median, type Row } from "../benchmark.ts";
import type { IndexAnswer, IndexOrder } from "./index-child.ts";
import { type Point, seriesRows } from "./series.ts";

const FILES = 1000;

/**
 * What lists of many images cost to index, to hold and to use. The lists name 1,000 small files again and again, so
 * that the disk is left out, but every line is read, checked and looked up as any other.
 */
export async function dataSizeRows({ sizes }: { sizes: number[] }): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "funmatch-scale-"));
  try {
    writeFiles(folder);
    const found: { size: number; answer: IndexAnswer }[] = [];
    for (const size of sizes) {
      const list = await writeList(folder, size);
      found.push({ size, answer: await indexed({ folder, list }) });
      rmSync(list);
    }
    const points = (of: (answer: IndexAnswer) => number[], per?: number): Point[] =>
      found.map(({ size, answer }) => ({
        name: `${size} images`,
        units: per === undefined ? 1 : size / per,
        size,
        costs: of(answer),
      }));
    return [
      ...seriesRows(
        points(({ indexMs }) => [indexMs], 1000),
        { what: "index", each: "1,000 images", unit: "ms", whole: "all, ms" },
      ),
      ...seriesRows(
        points(({ indexMb }) => [indexMb], 1e6),
        { what: "memory of the index", each: "million images", unit: "MB", whole: "all, MB" },
      ),
      ...seriesRows(
        points(({ peakMb }) => [peakMb], 1e6),
        { what: "peak while indexing", each: "million images", unit: "MB", whole: "all, MB" },
      ),
      ...seriesRows(
        points(({ sliceMs }) => [sliceMs], 1000),
        { what: 'split "[:90%]"', each: "1,000 images", unit: "ms", whole: "all, ms" },
      ),
      ...seriesRows(
        points(({ threadMs }) => [threadMs]),
        { what: "a thread with the index", each: "thread", unit: "ms", whole: "a thread, ms" },
      ),
      ...seriesRows(
        points(({ steps }) => [median(steps)]),
        { what: "order, labels and paths", each: "step of 64", unit: "ms", whole: "a step, ms" },
      ),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function pathOf(file: number): string {
  const number = String(file).padStart(4, "0");
  return `class-${number.slice(0, 2)}/picture-${number}.jpg`;
}

function writeFiles(folder: string): void {
  for (let file = 0; file < FILES; file++) {
    const path = join(folder, pathOf(file));
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, "");
  }
}

async function writeList(folder: string, size: number): Promise<string> {
  const list = join(folder, `${size}.txt`);
  const file = createWriteStream(list);
  for (let at = 0; at < size; at += FILES) {
    const lines = Array.from({ length: Math.min(FILES, size - at) }, (_, i) => `${pathOf(i)}\n`);
    if (!file.write(lines.join(""))) await once(file, "drain");
  }
  file.end();
  await once(file, "close");
  return list;
}

async function indexed(order: IndexOrder): Promise<IndexAnswer> {
  const child = fork(new URL("./index-child.ts", import.meta.url));
  try {
    return await askChild<IndexAnswer>(child, order);
  } finally {
    child.kill();
  }
}
