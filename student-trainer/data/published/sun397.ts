import { dirname, join } from "node:path";
import type { Listed } from "../listed-files.ts";
import { linesOf } from "../text-lines.ts";
import { noSuchPart, type Part } from "./layout.ts";

/** The lists of TensorFlow Datasets, by which the paper's teacher was trained and judged. */
const TFDS: Record<string, string> = { train: "tr", validation: "va", test: "te" };

/**
 * SUN397: SUN397/a/abbey/sun_….jpg …, ClassName.txt, and the publisher's ten partitions Training_01.txt and
 * Testing_01.txt …; its parts are called as these files. Parts train, validation and test are those of
 * sun397_tfds_tr.txt, _va and _te, which TensorFlow Datasets has. Lines of all of them are paths such as
 * /a/abbey/sun_….jpg.
 */
export async function sun397(folder: string, part: string): Promise<Part> {
  const published = /^(Training|Testing)_(0[1-9]|10)$/.test(part);
  if (!published && !(part in TFDS))
    noSuchPart("sun397", part, "Training_01, Testing_01 … 10, train, validation, test");
  const names: string[] = [];
  for await (const { text } of linesOf(join(folder, "ClassName.txt"), "the class names"))
    names.push(text.replace(/^\//, ""));
  const list = published ? `${part}.txt` : `sun397_tfds_${TFDS[part]}.txt`;

  async function* listed(): AsyncGenerator<Listed> {
    for await (const { text, where } of linesOf(join(folder, list), "the list")) {
      const path = text.replace(/^\//, "");
      yield { path: `SUN397/${path}`, label: dirname(path), where };
    }
  }
  return { names, listed: listed() };
}
