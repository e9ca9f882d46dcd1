import { type Logger, pino } from "pino";
import type { TeacherConfig } from "./config.ts";

/** JSON lines on stdout. Nobody hands it secrets or image bytes: only named fields are logged. */
export function openLog(level: TeacherConfig["logLevel"]): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime });
}
