import { type Card, type Limits, WireError } from "@funmatch/wire";
import { IMAGES, LOGITS, type ModelMetadata, type ServerMetadata } from "@funmatch/wire/oip";
import description from "../package.json" with { type: "json" };

/** The version that clients send who know of numbered versions only: whichever is served. */
const NUMBER = "1";

/** What `GET /v2` tells. */
export const SERVER: ServerMetadata = {
  name: description.name,
  version: description.version,
  extensions: ["binary_tensor_data", "model_configuration"],
};

/** What is told of a model that is ready: its images have one size there, though it may resize others. */
export function metadataOf(card: Card): ModelMetadata {
  const { resolution, channels } = card.input;
  return {
    name: card.id,
    versions: [NUMBER, card.version],
    platform: String(card.runtime.engine ?? description.name),
    inputs: [{ name: IMAGES, datatype: "UINT8", shape: [-1, resolution, resolution, channels] }],
    outputs: [{ name: LOGITS, datatype: "FP32", shape: [-1, card.classes] }],
  };
}

/** The model's configuration in Triton's form; clients read of it how many images fit a request. */
export function configOf(card: Card, limits: Limits): object {
  const { resolution, channels } = card.input;
  const dims = [resolution, resolution, channels];
  const fitting = Math.floor((limits.maxBodyBytes - HEAD_ROOM) / (resolution * resolution * channels));
  return {
    name: card.id,
    platform: "",
    backend: description.name,
    max_batch_size: Math.max(1, Math.min(limits.maxImages, fitting)),
    input: [{ name: IMAGES, data_type: "TYPE_UINT8", format: "FORMAT_NHWC", dims }],
    output: [{ name: LOGITS, data_type: "TYPE_FP32", dims: [card.classes] }],
    dynamic_batching: { preferred_batch_size: [card.maxBatch] },
  };
}

/** Bytes of a body that its JSON may take before the images. */
const HEAD_ROOM = 4096;

/**
 * Holds the version that an address names against the one that is served.
 *
 * @throws WireError `unknown_model`, naming those that there are
 */
export function checkVersion(model: string, asked: string | undefined, served: string): void {
  if (asked === undefined || asked === NUMBER || asked === served) return;
  throw new WireError(
    "unknown_model",
    `no version "${asked.slice(0, 100)}" of ${model} here; there is ${served}, also known as ${NUMBER}`,
  );
}
