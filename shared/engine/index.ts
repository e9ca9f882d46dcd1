export { roundToBfloat16 } from "./bfloat16.ts";
export { type EngineInfo, loadEngine } from "./binding.ts";
export { type CaptureOptions, captureStep } from "./capture.ts";
export { CaptureError } from "./capture-error.ts";
export { EngineError } from "./engine-error.ts";
export { captureForward, type Forward } from "./forward.ts";
export { engineInfo } from "./info.ts";
export type { Arrays, Captured, InputSpec, Results } from "./session.ts";
export { type EngineWorker, spawnEngineWorker } from "./worker.ts";
