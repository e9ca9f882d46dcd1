import { extname } from "node:path";
import { UserError } from "@funmatch/config";
import { z } from "zod";
import { teacherAddress } from "./teach/address.ts";
import { isOip, oipAddress } from "./teach/oip/address.ts";

/** The teachers of a run's config. */

const count = z.int().positive();
const pair = z
  .tuple([z.number(), z.number()])
  .refine(([low, high]) => low < high, "expected [low, high], such as [-1, 1]");
const channels = z.tuple([z.number(), z.number(), z.number()]);

/** What every teacher has. */
const anyTeacher = {
  /** The version that it must be; absent: the first that it says. */
  version: z
    .string()
    .regex(/^(sha256:[0-9a-f]{64}|oip:.+)$/, "expected sha256:<64 hex digits>, or oip:NAME:VERSION")
    .optional(),
  /** Side of the views that it is asked for: the student's crop, flip and mixup at another resolution; absent: the student's. */
  resolution: z.int().min(8).max(1024).optional(),
  /** Images in one request to it; absent: the run's chunk. */
  chunk: count.optional(),
};

/** What an Open Inference Protocol server does not say of its model; absent, what its metadata suggest. */
export const oipSchema = z.strictObject({
  /** Names of the tensors, where the model has several. */
  input: z.string().optional(),
  output: z.string().optional(),
  layout: z.enum(["nhwc", "nchw"]).optional(),
  /** Number of classes, where the output's shape leaves it open. */
  classes: count.optional(),
  /** What the output holds. */
  outputKind: z.enum(["logits", "probabilities"]).default("logits"),
  /** What a float input takes: 0 and 255 become these; or, of pixels in 0..1, (x - mean) / std by channel. Absent: pixels as they are, 0..255. */
  valueRange: pair.optional(),
  mean: channels.optional(),
  std: channels.optional(),
  /** Tensors as bytes rather than JSON; absent: if the server says that it can. */
  binary: z.boolean().optional(),
});

const remote = z.strictObject({
  /** https://HOST/v1/models/NAME, or oip+https://HOST/v2/models/NAME for a server of the Open Inference Protocol. */
  url: z.string(),
  key: z.string().optional(),
  ...anyTeacher,
  /** Requests to it at a time, at most. */
  requests: z.int().min(1).max(256).default(64),
  oip: oipSchema.optional(),
});

const inProcess = z.strictObject({
  /** Weights in an .npz, computed in this process. */
  file: z.string(),
  /** What 0 and 255 become before the first layer. */
  valueRange: pair,
  ...anyTeacher,
});

export const teacherSchema = z.union([remote, inProcess]);

/** One teacher of a config. */
export type TeacherSpec = z.output<typeof teacherSchema>;

/** What a teacher is called in messages. */
export function nameOfTeacher(spec: TeacherSpec): string {
  return "file" in spec ? spec.file : spec.url;
}

/** @throws UserError when a teacher's URL cannot be one, or its keys do not go with it */
export function checkTeacherSpec(spec: TeacherSpec): void {
  if ("file" in spec) {
    if (extname(spec.file) !== ".npz")
      throw new UserError(
        `teacher ${spec.file}: only the .npz of a network of ours (of a run its student.npz) can teach in the same ` +
          "process; funmatch-teacher serves other formats",
      );
    return;
  }
  if (!isOip(spec.url)) {
    teacherAddress(spec.url);
    if (spec.oip)
      throw new UserError(`teacher ${spec.url}: oip is for teachers at oip+https:// or oip+http://`);
    return;
  }
  oipAddress(spec.url);
  const { valueRange, mean, std } = spec.oip ?? {};
  if (valueRange && (mean || std))
    throw new UserError(`teacher ${spec.url}: give either oip.valueRange, or oip.mean and oip.std`);
  if ((mean === undefined) !== (std === undefined))
    throw new UserError(`teacher ${spec.url}: oip.mean and oip.std go together`);
  if (std?.some((value) => value <= 0)) throw new UserError(`teacher ${spec.url}: oip.std must be above 0`);
}
