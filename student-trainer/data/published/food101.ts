import { dirname, join } from "node:path";
import type { Listed } from "../listed-files.ts";
import { linesOf } from "../text-lines.ts";
import { noSuchPart, type Part } from "./layout.ts";

/** Food-101: images/apple_pie/1005649.jpg …, meta/classes.txt, meta/train.txt and meta/test.txt. */
export async function food101(folder: string, part: string): Promise<Part> {
  if (part !== "train" && part !== "test") noSuchPart("food101", part, "train, test");
  const names: string[] = [];
  for await (const { text } of linesOf(join(folder, "meta/classes.txt"), "the class names")) names.push(text);

  async function* listed(): AsyncGenerator<Listed> {
    for await (const { text, where } of linesOf(join(folder, `meta/${part}.txt`), "the list"))
      yield { path: `images/${text}.jpg`, label: dirname(text), where };
  }
  return { names, listed: listed() };
}
