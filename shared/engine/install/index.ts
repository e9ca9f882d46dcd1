export { EngineError } from "../engine-error.ts";
export { type InstallOptions, installEngine } from "./install.ts";
export { installedEngine } from "./installed.ts";
export { type Progress, progressOnStderr } from "./progress.ts";
