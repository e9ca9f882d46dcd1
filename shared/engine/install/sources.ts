import { readFileSync } from "node:fs";
import { basename } from "node:path";

/** In tfjs_backend.cc: all threads write into it without a lock, so two workers that capture at once may corrupt it. */
const SHARED = "static std::set<std::string> ATTR_NAME_SET;";
const OF_EACH_THREAD = "static thread_local std::set<std::string> ATTR_NAME_SET;";

/** The text of a native module's source as it is compiled: as it is, but for that one set. */
export function sourceOf(file: string): string {
  const text = readFileSync(file, "utf8");
  if (basename(file) !== "tfjs_backend.cc") return text;
  if (!text.includes(SHARED)) throw new Error(`${file} does not hold "${SHARED}" any more`);
  return text.replace(SHARED, OF_EACH_THREAD);
}
