import { dirname } from "node:path";
import { resolvePath } from "@funmatch/config";
import { z } from "zod";
import { modelBatchingSchema } from "./batching-config.ts";
import { readLabels } from "./labels.ts";

const three = z.tuple([z.number(), z.number(), z.number()]);

/** What 0 and 255 become, as the paper's `value_range` does. */
const valueRange = z
  .tuple([z.number(), z.number()])
  .refine(([low, high]) => low < high, "the first number must be the smaller one");

/** What every format's config says. */
const everyModel = {
  /** File or directory, relative to the config. */
  path: z.string().min(1),
  /** Height and width that the network sees. */
  resolution: z.int().positive().max(4096),
  /** Names of the classes, or a file of them: one a line, or a JSON list. */
  labels: z.union([z.array(z.string().min(1)).min(1), z.string().min(1)]).optional(),
  /**
   * How images of another size are brought to the resolution: `bilinear` (or true; half-pixel centres, no
   * antialiasing), `antialias` (bilinear whose filter widens when it shrinks, as PIL does), `none` (or false: refused).
   */
  resize: z
    .union([z.boolean(), z.enum(["none", "bilinear", "antialias"])])
    .default("bilinear")
    .transform((rule) => (typeof rule === "string" ? rule : rule ? "bilinear" : "none")),
  /** How its passes are made, where other than `batchSizes` and `batching` say. */
  batching: modelBatchingSchema.optional(),
};

const npz = z.strictObject({ format: z.literal("npz"), ...everyModel, valueRange });

/** What must be said of a network that was made elsewhere. */
const foreign = {
  ...everyModel,
  /** What pixels 0 and 255 become. Either this or `mean` and `std`. */
  valueRange: valueRange.optional(),
  /** `(pixel / 255 - mean) / std` for each channel, in the order in which the network takes them. */
  mean: three.optional(),
  std: three.refine((std) => std.every((each) => each > 0), "each must be above 0").optional(),
  /** The order in which the network takes the colours; requests are always RGB. */
  channelOrder: z.enum(["rgb", "bgr"]).default("rgb"),
  /** Whether channels come last or first. Default: read off the network's input. */
  layout: z.enum(["nhwc", "nchw"]).optional(),
  /** The input that takes the images. Default: the only one. */
  input: z.string().min(1).optional(),
  /** The output to answer with, [N,K]. Default: the only one. */
  output: z.string().min(1).optional(),
  /** What that output holds; of probabilities the logarithm is answered. */
  outputs: z.enum(["logits", "probabilities"]).default("logits"),
};

type Scale = { valueRange?: unknown; mean?: unknown; std?: unknown };

/** Exactly one way from pixels to the network's numbers must be named: there is no guessing it. */
const scaledOneWay = (model: Scale): boolean =>
  model.valueRange === undefined ? Boolean(model.mean && model.std) : !model.mean && !model.std;
const ONE_WAY = { path: ["valueRange"], message: "give either valueRange, or mean and std" };

const onnx = z.strictObject({ format: z.literal("onnx"), ...foreign }).refine(scaledOneWay, ONE_WAY);

const savedmodel = z
  .strictObject({
    format: z.literal("savedmodel"),
    ...foreign,
    /** The signature whose input and output are meant. */
    signature: z.string().min(1).default("serving_default"),
  })
  .refine(scaledOneWay, ONE_WAY);

/** GraphModel or LayersModel: the directory of a model.json. */
const tfjs = z.strictObject({ format: z.literal("tfjs"), ...foreign }).refine(scaledOneWay, ONE_WAY);

const networks = [npz, onnx, savedmodel, tfjs] as const;
const oneOf = (formats: string) => ({
  error: (issue: { code: string }) =>
    issue.code === "invalid_union" ? `expected one of ${formats}` : undefined,
});
const FORMATS = "npz, onnx, savedmodel, tfjs";
const networkSchema = z.discriminatedUnion("format", networks, oneOf(FORMATS));

/** Several networks that answer as one. */
const ensemble = z.strictObject({
  format: z.literal("ensemble"),
  /** By name; each sees the images in its own resolution and range. */
  members: z
    .record(z.string().min(1), networkSchema)
    .refine((members) => Object.keys(members).length > 1, "an ensemble has two members or more")
    .refine((members) => {
      const all = Object.values(members);
      const resize = all.every((each) => each.resize !== "none");
      return resize || all.every((each) => each.resolution === all[0]!.resolution);
    }, "members of several resolutions must all resize")
    .refine((members) => Object.values(members).every((each) => each.batching === undefined), {
      error: "members are computed in the ensemble's passes: batching stands beside members",
    }),
  /** What is averaged: probabilities, of which the logarithm is answered, or logits. */
  combine: z.enum(["probabilities", "logits"]).default("probabilities"),
  labels: everyModel.labels,
  batching: everyModel.batching,
});

/** One model of a teacher's config, by format. */
export const modelSchema = z.discriminatedUnion(
  "format",
  [...networks, ensemble],
  oneOf(`${FORMATS}, ensemble`),
);

type WithLabels<T> = T extends unknown ? Omit<T, "labels"> & { labels?: string[] } : never;

/** One network as validated, with an absolute path and the labels read. */
export type NetworkConfig = WithLabels<z.output<typeof networkSchema>>;
export type NpzConfig = Extract<NetworkConfig, { format: "npz" }>;
/** A network that was made elsewhere. */
export type ForeignConfig = Exclude<NetworkConfig, NpzConfig>;
export type SavedModelConfig = Extract<NetworkConfig, { format: "savedmodel" }>;
export type TfjsConfig = Extract<NetworkConfig, { format: "tfjs" }>;
export type OnnxConfig = Extract<NetworkConfig, { format: "onnx" }>;
export type EnsembleConfig = Omit<z.output<typeof ensemble>, "labels" | "members"> & {
  members: Record<string, NetworkConfig>;
  labels?: string[];
};
/** A model as validated. */
export type ModelConfig = NetworkConfig | EnsembleConfig;

/** The networks that a model is computed with. */
export function membersOf(model: ModelConfig): NetworkConfig[] {
  return model.format === "ensemble" ? Object.values(model.members) : [model];
}

/**
 * Puts the paths of a model's config in relation to the config file, and reads its labels where they are in a file.
 *
 * @throws UserError when the file of labels cannot be read
 */
export function resolveModel(model: z.output<typeof modelSchema>, configPath: string): ModelConfig {
  const folder = dirname(configPath);
  const labels = (written: string | string[] | undefined) =>
    written && { labels: Array.isArray(written) ? written : readLabels(resolvePath(folder, written)) };
  const network = ({ labels: written, ...rest }: z.output<typeof networkSchema>): NetworkConfig => ({
    ...rest,
    path: resolvePath(folder, rest.path),
    ...labels(written),
  });
  if (model.format !== "ensemble") return network(model);
  const { members, labels: written, ...rest } = model;
  const named = Object.entries(members).map(([name, member]) => [name, network(member)]);
  return { ...rest, members: Object.fromEntries(named), ...labels(written) };
}
