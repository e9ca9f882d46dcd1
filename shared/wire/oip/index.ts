export { type InferHead, readInferRequest } from "./infer-request.ts";
export * from "./messages.ts";
export type { Numbers } from "./number-array.ts";
export { MOST_JSON_BYTES, type RequestJson, requestJson } from "./request-json.ts";
