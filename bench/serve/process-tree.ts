import { readdirSync, readFileSync } from "node:fs";

/** Linux counts processor time in hundredths of a second, whatever the machine. */
const TICKS_A_SECOND = 100;

interface Process {
  pid: number;
  parent: number;
  cpuSeconds: number;
}

/** Processor time so far of a process and all that it started, in seconds. */
export function cpuSecondsOf(root: number): number {
  return treeOf(root).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
}

/** Sends a signal to a process and all that it started. */
export function signalTree(root: number, signal: NodeJS.Signals): void {
  for (const { pid } of treeOf(root)) {
    try {
      process.kill(pid, signal);
    } catch {} // ended meanwhile
  }
}

function treeOf(root: number): Process[] {
  const all = readdirSync("/proc").flatMap((name) =>
    /^\d+$/.test(name) ? (readProcess(Number(name)) ?? []) : [],
  );
  const tree = all.filter(({ pid }) => pid === root);
  for (const { pid } of tree) tree.push(...all.filter(({ parent }) => parent === pid));
  return tree;
}

function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name, in brackets, may hold anything; from the state on there are numbers.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [parent, user, system] = [fields[1], fields[11], fields[12]].map(Number) as [
      number,
      number,
      number,
    ];
    return { pid, parent, cpuSeconds: (user + system) / TICKS_A_SECOND };
  } catch {
    return undefined; // ended meanwhile
  }
}
