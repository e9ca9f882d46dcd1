export { EngineError } from "../engine-error.ts";
export { engineInstalled, type InstallOptions, installEngine } from "./install.ts";
export { type Progress, progressOnStderr } from "./progress.ts";
