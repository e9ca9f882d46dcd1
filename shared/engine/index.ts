export { roundToBfloat16 } from "./bfloat16.ts";
export { type EngineInfo, loadEngine } from "./binding.ts";
export { type CaptureOptions, captureStep } from "./capture.ts";
export { CaptureError } from "./capture-error.ts";
export { EngineError } from "./engine-error.ts";
export { engineInfo } from "./info.ts";
export { productsInBfloat16 } from "./products.ts";
export type { Arrays, Captured, InputSpec, Results } from "./session.ts";
export { type EngineWorker, spawnEngineWorker } from "./worker.ts";
