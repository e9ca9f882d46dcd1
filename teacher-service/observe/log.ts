import { type Logger, pino } from "pino";
import type { TeacherConfig } from "../config/config.ts";

/** Errors whose message says all that whoever made the mistake needs: where in our code it was found is not theirs. */
const EXPLAINED = ["ArrayFileError", "EngineError", "ModelFileError", "UserError"];

/** JSON lines on stdout. Nobody hands it secrets or image bytes: only named fields are logged. */
export function openLog(level: TeacherConfig["logLevel"]): Logger {
  // Written in the background, so that a slow reader of stdout does not stop the sockets. pino's `flush` only waits
  // where there is a least length to write.
  const stdout = pino.destination({ fd: 1, sync: false, minLength: 1 });
  const serializers = { err: plainError };
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers }, stdout);
}

/** An error without its stack where the message is enough. */
function plainError(error: Error): object {
  if (EXPLAINED.includes(error.name)) return { type: error.name, message: error.message };
  return pino.stdSerializers.err(error);
}

/**
 * Waits until every line is written. To be called before the process exits: at the exit itself pino would write
 * them synchronously, and for ever if whoever read stdout is gone.
 */
export function flushed(log: Logger): Promise<void> {
  return new Promise((resolve) => log.flush(() => resolve()));
}
