import type { Purpose } from "@funmatch/wire";

/** What the queue must know of something that waits. */
export interface Waiting {
  readonly purpose: Purpose;
  /** Only members of one group share a forward pass. */
  readonly group: string;
  readonly images: number;
}

/** A run of one item's images: `from`, `from + 1`, … `from + count - 1`. */
export interface Slice<T> {
  readonly item: T;
  readonly from: number;
  readonly count: number;
}

/** Who is next: training before evaluation, first come first served within each. */
export interface Queue<T extends Waiting> {
  add(item: T): void;
  /** Takes out what is still waiting of somebody who gave up; false when nothing of it was. */
  remove(item: T): boolean;
  /** Images that could go into the next pass: those of the first in line and of everybody in its group. */
  ready(): number;
  /**
   * Takes up to `count` of those images in order. Of an item that does not fit the rest keeps its place,
   * so that a large request is spread over several passes.
   */
  take(count: number): Slice<T>[];
  readonly requests: number;
  readonly images: number;
}

/** @example const queue = openQueue<Job>(); queue.add(job); const pass = queue.take(Math.min(queue.ready(), 64)); */
export function openQueue<T extends Waiting>(): Queue<T> {
  const lines: Record<Purpose, Set<T>> = { train: new Set(), eval: new Set() };
  const taken = new Map<T, number>();
  const left = (item: T) => item.images - (taken.get(item) ?? 0);
  const inOrder = () => [...lines.train, ...lines.eval];
  const nextGroup = () => {
    const items = inOrder();
    return items.filter((item) => item.group === items[0]?.group);
  };
  const count = (items: T[]) => items.reduce((sum, item) => sum + left(item), 0);
  const remove = (item: T) => {
    taken.delete(item);
    return lines[item.purpose].delete(item);
  };
  return {
    add: (item) => void lines[item.purpose].add(item),
    remove,
    ready: () => count(nextGroup()),
    take(wanted) {
      const slices: Slice<T>[] = [];
      let missing = wanted;
      for (const item of nextGroup()) {
        if (missing === 0) break;
        const from = item.images - left(item);
        const size = Math.min(missing, item.images - from);
        slices.push({ item, from, count: size });
        missing -= size;
        if (from + size === item.images) remove(item);
        else taken.set(item, from + size);
      }
      return slices;
    },
    get requests() {
      return lines.train.size + lines.eval.size;
    },
    get images() {
      return count(inOrder());
    },
  };
}
