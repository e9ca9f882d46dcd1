import { totalmem } from "node:os";
import { z } from "zod";

const UNITS = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, KB: 1e3, MB: 1e6, GB: 1e9 };

/** A number of bytes, or one with a unit: `6GiB`. */
export const bytes = z.union(
  [
    z.int().positive(),
    z
      .string()
      .regex(/^\d+(\.\d+)? ?(KiB|MiB|GiB|KB|MB|GB)$/)
      .transform((text) => {
        const [, count, unit] = /^([\d.]+) ?(\w+)$/.exec(text)!;
        return Math.round(Number(count) * UNITS[unit as keyof typeof UNITS]);
      }),
  ],
  { error: "expected a number of bytes, or one with a unit such as 6GiB" },
);

/** Share of the memory there is that is taken by default: the system and arriving images need some too. */
const SHARE = 0.8;

/** What models may take where the config does not say: a share of the container's limit, or of the machine's memory. */
export function usualMemory(): number {
  // 0, or more than there is, where no limit is set.
  const limit = process.constrainedMemory();
  return SHARE * (limit > 0 ? Math.min(limit, totalmem()) : totalmem());
}
