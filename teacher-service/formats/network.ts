import type { Pass } from "../queue/batch.ts";

/** What is known of a network once it is loaded. */
export interface Facts {
  readonly version: string;
  readonly classes: number;
  readonly parameters: number;
  readonly runtime: Record<string, string | number | boolean>;
  /** The only batch sizes that the network takes; absent when it takes any. */
  readonly batchSizes?: readonly number[];
}

/** A loaded network, whatever format it came in. It lives in a thread of its own, so that it may block. */
export interface Network {
  readonly facts: Facts;
  /** Logits [pass.size, K] of a pass of any size (of `batchSizes`), of the rows that only fill the batch too. */
  compute(pass: Pass): Float32Array | Promise<Float32Array>;
}

/** A file that is not what its format says, or does not fit its config; the message is for whoever wrote that. */
export class ModelFileError extends Error {
  override name = "ModelFileError";
}
