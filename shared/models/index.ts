export { type BitOutputs, bit, valueRange } from "./bit.ts";
export {
  type BitConfig,
  bitBlocks,
  bitConfigOf,
  bitShapes,
  parameterCount,
  type Weights,
} from "./bit-config.ts";
export { initBit } from "./bit-init.ts";
export { type Probe, probe, sameBits } from "./bit-stability.ts";
export { loadBitWeights } from "./bit-weights.ts";
export { type Fused, fused } from "./fused.ts";
export { type Inference, inferenceOf } from "./inference.ts";
export { type LoadedNetwork, loadNetwork } from "./load-network.ts";
export { mobileNetV3 } from "./mobilenetv3.ts";
export type { MobileNetV3Config } from "./mobilenetv3-config.ts";
export { isStatistic, type Network, type NetworkFamily, type NetworkOutputs, trainedOf } from "./network.ts";
export { loadNetworkWeights } from "./network-weights.ts";
export { type NetworkConfig, networkOf } from "./networks.ts";
export { type NpyArray, type NpyData, readNpy } from "./npy.ts";
export { ArrayFileError, type NpyDtype } from "./npy-header.ts";
export { namesInNpz, type ReadNpzOptions, readNpz, readNpzMember } from "./npz-read.ts";
export { writeNpz } from "./npz-write.ts";
export { type TeacherRules, teacherVersion, teacherVersionOf, weightsSha256 } from "./version.ts";
export { vit } from "./vit.ts";
export { type ViTConfig, type ViTVariant, vitVariant } from "./vit-config.ts";
export { readWeights, writeWeights } from "./weights-file.ts";
