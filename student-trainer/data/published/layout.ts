import { UserError } from "@funmatch/config";
import type { Listed } from "../listed-files.ts";

/** The data sets that are read as their publishers lay them out. */
export const PUBLISHED = ["flowers102", "oxford-iiit-pet", "food101", "sun397", "imagenet"] as const;

/** A part of a data set as its publisher lays it out. */
export interface Part {
  /** The name of each class, in the order of the numbers that publisher and TensorFlow Datasets give them. */
  names: string[];
  /** The pictures; a label is a class's number from 0, or its name. */
  listed: AsyncIterable<Listed> | Iterable<Listed>;
}

/** @throws UserError naming the parts that there are */
export function noSuchPart(set: string, part: string, parts: string): never {
  throw new UserError(`${set} has no part ${part}: it has ${parts}`);
}
