export { type NpyArray, type NpyData, readNpy } from "./npy.ts";
export { ArrayFileError, type NpyDtype } from "./npy-header.ts";
export { namesInNpz, type ReadNpzOptions, readNpz, readNpzMember } from "./npz-read.ts";
export { writeNpz } from "./npz-write.ts";
