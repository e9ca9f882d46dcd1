import type { ModelMetadata, TensorMetadata as Tensor } from "@funmatch/wire/oip";
import type { TeacherSpec } from "../../teachers.ts";
import { TeacherError } from "../errors.ts";

/** What a config says beside the metadata. */
export type OipHints = NonNullable<Extract<TeacherSpec, { url: string }>["oip"]>;

/** How images become a model's input tensor. */
export interface InputPlan {
  name: string;
  datatype: "UINT8" | "FP32";
  layout: "nhwc" | "nchw";
  /** Side of the square images; absent: any. */
  side?: number;
  /** Images that it takes, always exactly so many; absent: any number. */
  batch?: number;
}

/** Which output tensor holds what is learned from. */
export interface OutputPlan {
  name: string;
  classes: number;
}

/**
 * Finds the input for images among a model's tensors.
 *
 * @throws TeacherError naming the key of the config that would say what the metadata do not
 */
export function planInput(who: string, inputs: Tensor[], hints: OipHints): InputPlan {
  const { name, datatype, shape } = chosen(who, "input", inputs, hints.input);
  const refuse = (why: string) => new TeacherError("refused", `${who}: its input ${name} ${why}`);
  if (datatype !== "UINT8" && datatype !== "FP32")
    throw refuse(`takes ${datatype}: images can be sent as UINT8 or FP32`);
  if (shape.length !== 4) throw refuse(`has shape [${shape}]: batches of images are [N,H,W,3] or [N,3,H,W]`);
  const layout = hints.layout ?? layoutOf(shape);
  if (!layout) throw refuse(`has shape [${shape}]: say oip.layout, nhwc or nchw`);
  const [channels, height, width] =
    layout === "nchw" ? [shape[1]!, shape[2]!, shape[3]!] : [shape[3]!, shape[1]!, shape[2]!];
  if (channels !== 3 && channels > 0)
    throw refuse(`has shape [${shape}]: as ${layout} that is ${channels} channels, not 3`);
  if (height > 0 && width > 0 && height !== width) throw refuse(`takes ${height}×${width}: views are square`);
  const side = Math.max(height, width);
  const batch = shape[0]!;
  return {
    ...{ name, datatype, layout },
    ...(side > 0 && { side }),
    ...(batch > 0 && { batch }),
  };
}

/** Finds the output of logits or probabilities. @throws TeacherError as `planInput` */
export function planOutput(who: string, outputs: Tensor[], hints: OipHints): OutputPlan {
  const { name, datatype, shape } = chosen(who, "output", outputs, hints.output);
  const refuse = (why: string) => new TeacherError("refused", `${who}: its output ${name} ${why}`);
  if (datatype !== "FP32" && datatype !== "FP64") throw refuse(`is ${datatype}: logits are FP32 or FP64`);
  const sizes = shape.slice(1);
  const told = sizes.every((size) => size > 0) ? sizes.reduce((a, b) => a * b, 1) : undefined;
  const classes = hints.classes ?? (sizes.length > 0 ? told : undefined);
  if (classes === undefined) throw refuse(`has shape [${shape}]: say oip.classes`);
  if (told !== undefined && sizes.length > 0 && told !== classes)
    throw refuse(`has shape [${shape}], which is not oip.classes = ${classes}`);
  return { name, classes };
}

function chosen(who: string, kind: "input" | "output", all: Tensor[], wanted?: string): Tensor {
  const names = all.map(({ name }) => name).join(", ");
  const found = wanted === undefined ? all[0] : all.find(({ name }) => name === wanted);
  if (all.length === 0) throw new TeacherError("refused", `${who}: its metadata tell of no ${kind}s`);
  if (!found)
    throw new TeacherError("refused", `${who} has no ${kind} ${JSON.stringify(wanted)}, but ${names}`);
  if (wanted === undefined && all.length > 1)
    throw new TeacherError("refused", `${who} has the ${kind}s ${names}: say which by oip.${kind}`);
  return found;
}

function layoutOf(shape: number[]): InputPlan["layout"] | undefined {
  const [first, last] = [shape[1] === 3, shape[3] === 3];
  if (first === last) return undefined;
  return first ? "nchw" : "nhwc";
}

/**
 * What a run is pinned to. The protocol gives no digest of the weights: a name and the versions that the server tells
 * show that nobody announced another model, not that the weights are the same.
 *
 * @example oipVersion({ name: "resnet", versions: ["1"] }) // "oip:resnet:1"
 */
export function oipVersion({ name, versions }: Pick<ModelMetadata, "name" | "versions">): string {
  return `oip:${name}:${versions?.length ? [...versions].sort().join(",") : "unversioned"}`;
}
