/**
 * How a run's student learns: the `distance`, `optimizer` and `schedule` of its config, each chosen by name with the
 * parameters of its own.
 */
import { z } from "zod";
import { wholeName } from "./learn/name-pattern.ts";

/** The name of the variant that is meant where none is given. */
const unlessNamed = <const Name extends string>(name: Name) =>
  z
    .literal(name)
    .meta({ default: name })
    .optional()
    .transform(() => name);

const named = (...names: string[]) => ({
  error: (issue: { code?: string }) =>
    issue.code === "invalid_union" ? `expected one of ${names.join("|")}` : undefined,
});

/** Distances from the teacher's logits; the names are those of the paper's public code. */
export const distanceSchema = z.discriminatedUnion(
  "kind",
  [
    z.strictObject({ kind: unlessNamed("kl"), temperature: z.number().positive().default(1) }),
    /** `smoothing`: share of the label given in equal parts to all other classes. */
    z.strictObject({ kind: z.literal("hard"), smoothing: z.number().min(0).lt(1).default(0) }),
    z.strictObject({ kind: z.literal("euclidean") }),
    z.strictObject({ kind: z.literal("l2") }),
    z.strictObject({ kind: z.literal("logsoftmax_euclidean") }),
  ],
  named("kl", "hard", "euclidean", "l2", "logsoftmax_euclidean"),
);

const ramps = { warmupSteps: z.int().min(0).default(0), cooldownSteps: z.int().min(0).default(0) };

/** How learning rate and weight decay move over a run; formulas in `learn/schedule.ts`. */
export const scheduleSchema = z.discriminatedUnion(
  "decay",
  [
    z.strictObject({ decay: unlessNamed("cosine"), ...ramps }),
    z.strictObject({
      decay: z.literal("linear"),
      power: z.number().positive().default(1),
      end: z.number().min(0).max(1).default(0),
      ...ramps,
    }),
    z.strictObject({
      decay: z.literal("rsqrt"),
      timescale: z.number().positive().default(10_000),
      shift: z.number().min(0).default(0),
      ...ramps,
    }),
    z
      .strictObject({
        decay: z.literal("stair"),
        boundaries: z.array(z.int().min(0)).min(1),
        multipliers: z.array(z.number().min(0)).min(1),
        ...ramps,
      })
      .refine((stair) => stair.boundaries.length === stair.multipliers.length, {
        path: ["multipliers"],
        message: "expected as many multipliers as boundaries, each the value from its boundary on",
      })
      .refine((stair) => stair.boundaries.every((b, i, all) => i === 0 || b > all[i - 1]!), {
        path: ["boundaries"],
        message: "expected steps in rising order",
      }),
  ],
  named("cosine", "linear", "rsqrt", "stair"),
);

/** A regular expression that has to match a parameter's whole name, such as `root_block/.*`. */
const namePattern = z.string().refine(isRegularExpression, "expected a regular expression");

function isRegularExpression(pattern: string): boolean {
  try {
    return Boolean(wholeName(pattern));
  } catch {
    return false;
  }
}

const updates = {
  learningRate: z.number().positive(),
  /** Share of a parameter taken away per step at the schedule's 1; not scaled by the learning rate. */
  weightDecay: z.number().min(0).default(0),
  /** Names of the parameters that decay. */
  decay: namePattern.default(".*/kernel$"),
  /** Names of the parameters that stay as they are. */
  freeze: namePattern.optional(),
  /** Largest global norm of the gradients that is let through. */
  clip: z.number().positive().default(1),
};

export const optimizerSchema = z.discriminatedUnion(
  "kind",
  [
    z.strictObject({
      kind: unlessNamed("adam"),
      ...updates,
      firstMoment: z.enum(["float32", "bfloat16"]).default("float32"),
    }),
    z.strictObject({
      kind: z.literal("sgd"),
      ...updates,
      momentum: z.number().min(0).lt(1).default(0.9),
      nesterov: z.boolean().default(false),
    }),
    z.strictObject({
      kind: z.literal("shampoo"),
      ...updates,
      /** Longest side of the blocks that a parameter is cut into. */
      blockSize: z.int().min(2).max(1024).default(128),
      /** Steps after which the inverse roots are taken anew. */
      rootsEverySteps: z.int().min(1).default(10),
    }),
  ],
  named("adam", "sgd", "shampoo"),
);

export type OptimizerConfig = z.output<typeof optimizerSchema>;
export type DistanceConfig = z.output<typeof distanceSchema>;
