import type { Source } from "./source.ts";

/** Room to remember which of so many images some thread has read. */
export function noneSeen(size: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(size));
}

const READ = 1;
const ONLY_WHOLE = 2;

/** A source that remembers which images were read, and gives only their files' bytes. */
export function remembering(source: Source, seen: Uint8Array): Source {
  const { encoded } = source;
  return {
    ...source,
    async read(i) {
      const image = await source.read(i);
      if (seen[i] !== ONLY_WHOLE) seen[i] = READ;
      return image;
    },
    encoded: encoded && ((i) => (seen[i] === READ ? encoded(i) : undefined)),
    onlyWhole: (i) => {
      seen[i] = ONLY_WHOLE;
    },
  };
}
