/** What describes the API in OpenAPI, for each who serves it. */
export {
  anyAnswer,
  anyRequest,
  computedAnswer,
  computeRequest,
  retryAfter,
  timeoutHeader,
} from "./headers.ts";
export { MESSAGES } from "./messages.ts";
export { PROBLEM, type RefusalForm, refusals } from "./refusals.ts";
export { v1Paths } from "./v1.ts";
