import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** A core for each side, where the system lets processes be bound to cores. */
export interface Cores {
  student: number;
  teacher: number;
}

/** The first two cores that this process may use; undefined where there are no two, or no taskset. */
export function twoCores(): Cores | undefined {
  if (process.platform !== "linux") return undefined;
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
  const [student, teacher] = list.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number) as [number, number?];
    return Array.from({ length: last! - first + 1 }, (_, i) => first + i);
  });
  if (student === undefined || teacher === undefined) return undefined;
  try {
    execFileSync("taskset", ["--version"], { stdio: "ignore" });
    return { student, teacher };
  } catch {
    return undefined;
  }
}

/** Binds a process, with all its threads and those that they will start, to a core. */
export function bind(pid: number, core: number | undefined): void {
  if (core !== undefined)
    execFileSync("taskset", ["--all-tasks", "--cpu-list", "--pid", String(core), String(pid)], {
      stdio: "ignore",
    });
}

/** A command that starts another one bound to a core. */
export function bound(command: string[], core: number | undefined): [string, string[]] {
  const [program, ...args] =
    core === undefined ? command : ["taskset", "--cpu-list", String(core), ...command];
  return [program!, args];
}
