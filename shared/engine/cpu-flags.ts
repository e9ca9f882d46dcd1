import { readFileSync } from "node:fs";
import { cpus } from "node:os";

/** The instruction sets of this machine's processor as the system names them; on macOS the processor's name. */
export function cpuFlags(): string[] {
  if (process.platform !== "linux") return [cpus()[0]?.model ?? "unknown"];
  const line = /^(flags|Features)\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"));
  return line?.[2]?.split(" ") ?? [];
}
