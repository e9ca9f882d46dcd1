/**
 * The engine cannot be installed or loaded as the machine stands. The message is one line that says what is
 * missing and what to do about it; commands print it without a stack trace.
 */
export class EngineError extends Error {
  override name = "EngineError";
}
