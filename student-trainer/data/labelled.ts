import type { Source } from "./source.ts";

/** Completes a source whose images each have a class: fashion, files, shards, Parquet differ only in how they read. */
export function labelled(one: Omit<Source, "size" | "label"> & { classes: ArrayLike<number> }): Source {
  const { classes, ...source } = one;
  return { ...source, size: classes.length, label: (i) => classes[i]! };
}
