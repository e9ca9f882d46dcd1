import { z } from "zod";

/** Batch sizes to compute with; a forward pass is padded to one of them. */
export const batchSizesSchema = z
  .array(z.int().positive().max(4096))
  .min(1)
  .transform((sizes) => [...new Set(sizes)].sort((a, b) => a - b));

/**
 * The longest that a pass may wait for more images while the model is idle. It only waits where images come fast
 * enough that more are answered a second.
 */
const maxDelayMs = z.number().min(0).max(1000);

/**
 * While several teams ask, passes are as short as this share of the best throughput allows: others wait less for the
 * rest of a pass. 1 leaves passes as long as they are for one team.
 */
const sharedThroughput = z.number().min(0.1).max(1);

/** How requests are merged into passes, of all models that say nothing else. */
export const batchingSchema = z.strictObject({
  maxDelayMs: maxDelayMs.default(0),
  sharedThroughput: sharedThroughput.default(0.8),
});

/** What one model may have otherwise. */
export const modelBatchingSchema = z.strictObject({
  /** Instead of `batchSizes`; the largest is the largest pass. */
  sizes: batchSizesSchema.optional(),
  maxDelayMs: maxDelayMs.optional(),
  sharedThroughput: sharedThroughput.optional(),
});
