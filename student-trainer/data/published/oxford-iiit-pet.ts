import { join } from "node:path";
import { UserError } from "@funmatch/config";
import type { Listed } from "../listed-files.ts";
import { linesOf } from "../text-lines.ts";
import { noSuchPart, type Part } from "./layout.ts";

const LISTS: Record<string, string> = { train: "trainval.txt", test: "test.txt" };

/**
 * Oxford-IIIT Pet: images/Abyssinian_1.jpg … and annotations/trainval.txt and test.txt, whose lines are a picture's
 * name, its class from 1, its species and its breed. A class is called as its pictures are.
 */
export async function oxfordIiitPet(folder: string, part: string): Promise<Part> {
  const list = LISTS[part] ?? noSuchPart("oxford-iiit-pet", part, "train, test");
  const names: string[] = [];
  for (const one of Object.values(LISTS))
    for await (const { image, label, where } of rows(join(folder, "annotations", one))) {
      const name = image.replace(/_\d+$/, "");
      names[label] ??= name;
      if (names[label] !== name)
        throw new UserError(`${where}: class ${label + 1} is ${names[label]}, not ${name}`);
    }
  const missing = names.findIndex((name) => !name);
  if (missing >= 0)
    throw new UserError(`${join(folder, "annotations")} lists no images of class ${missing + 1}`);

  async function* listed(): AsyncGenerator<Listed> {
    for await (const { image, label, where } of rows(join(folder, "annotations", list)))
      yield { path: `images/${image}.jpg`, label: String(label), where };
  }
  return { names, listed: listed() };
}

async function* rows(path: string): AsyncGenerator<{ image: string; label: number; where: string }> {
  for await (const { text, where } of linesOf(path, "the list")) {
    const [, image, number] = /^(\S+) ([1-9]\d{0,3}) \d+ \d+$/.exec(text) ?? [];
    if (!image)
      throw new UserError(`${where}: expected name, class, species and breed, such as "Abyssinian_1 1 1 1"`);
    yield { image, label: Number(number) - 1, where };
  }
}
