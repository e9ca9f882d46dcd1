import { cpuFlags } from "./cpu-flags.ts";

/** A set of instructions that compilers know by this name, and what the system calls those that it holds. */
export interface CpuLevel {
  name: string;
  needs: string[];
}

const V3 = "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave".split(" ");
const V4 = [...V3, ..."avx512f avx512bw avx512cd avx512dq avx512vl".split(" ")];

/**
 * By processor, best first: the levels of the x86-64 psABI that a TensorFlow server may be expected to have, and
 * plain arm64. What is compiled for one runs on every processor that has it, so an image is built for all of them.
 */
const LEVELS: Record<string, CpuLevel[]> = {
  x64: [
    { name: "x86-64-v4", needs: V4 },
    { name: "x86-64-v3", needs: V3 },
  ],
  arm64: [{ name: "armv8-a", needs: ["asimd"] }],
};

/** The levels for this kind of processor, best first; none on macOS, where nobody builds images. */
export function cpuLevels(): CpuLevel[] {
  return process.platform === "linux" ? (LEVELS[process.arch] ?? []) : [];
}

/** Whether a processor with these flags has all of a level's instructions. */
export function hasLevel(level: CpuLevel, flags: readonly string[] = cpuFlags()): boolean {
  return level.needs.every((need) => flags.includes(need));
}
