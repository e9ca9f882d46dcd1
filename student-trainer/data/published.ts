import { indexListed, type ListIndex } from "./listed-files.ts";
import { flowers102 } from "./published/flowers102.ts";
import { food101 } from "./published/food101.ts";
import { imagenet } from "./published/imagenet.ts";
import type { Part, PUBLISHED } from "./published/layout.ts";
import { oxfordIiitPet } from "./published/oxford-iiit-pet.ts";
import { sun397 } from "./published/sun397.ts";

type Name = (typeof PUBLISHED)[number];

const LAYOUTS: Record<Name, (folder: string, part: string) => Part | Promise<Part>> = {
  flowers102,
  "oxford-iiit-pet": oxfordIiitPet,
  food101,
  sun397,
  imagenet,
};

/** A part of a published data set, unpacked into a folder as its publisher ships it. */
export interface PublishedSpec {
  published: Name;
  folder: string;
  /** Such as train, validation or test. */
  part: string;
}

/**
 * Indexes a part of a published data set in the order of its publisher's list.
 *
 * @throws UserError naming the file or line that is not as the publisher has it
 */
export async function indexPublished({ published, folder, part }: PublishedSpec): Promise<ListIndex> {
  const { names, listed } = await LAYOUTS[published](folder, part);
  const name = `${published} ${part} (${folder})`;
  return indexListed(listed, { folder, name, finish: () => ({ names, are: "labels" }) });
}
