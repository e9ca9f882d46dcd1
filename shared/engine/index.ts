export { roundToBfloat16 } from "./bfloat16.ts";
export { type EngineInfo, loadEngine } from "./binding.ts";
export {
  type Arrays,
  type Captured,
  type CaptureOptions,
  captureStep,
  type InputSpec,
  type Results,
} from "./capture.ts";
export { CaptureError } from "./capture-error.ts";
export { EngineError } from "./engine-error.ts";
export { engineInfo } from "./info.ts";
export { type EngineWorker, spawnEngineWorker } from "./worker.ts";
