export {
  anyCardSchema,
  type Card,
  cardSchema,
  type Limits,
  limitsSchema,
  type ModelList,
  modelListSchema,
} from "./card.ts";
export { digestFromHash, isDigest, sha256 } from "./digest.ts";
export { HEADERS, IDENTITY_HEADER, isRequestId, MSGPACK_TYPE } from "./headers.ts";
export { digestSchema, logitsAnswerSchema, logitsRequestSchema, problemSchema } from "./message-schema.ts";
export {
  CODES,
  type Problem,
  type ProblemCode,
  problemResponse,
  readProblem,
  toProblem,
  WireError,
  type WireErrorOptions,
} from "./problem.ts";
export { type ReplayWindow, replayWindow } from "./replay.ts";
export {
  encodeRequestHead,
  HEAD_BYTES,
  type ImageDtype,
  type Purpose,
  type RequestHead,
  readRequestHead,
} from "./request.ts";
export { decodeAnswer, encodeAnswer, floats, type LogitsAnswer } from "./response.ts";
export { type Identity, signIdentity, verifyIdentity } from "./signature.ts";
