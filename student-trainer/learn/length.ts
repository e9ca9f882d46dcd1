import type { TrainConfig } from "../config.ts";

type Length = TrainConfig["length"];

/** A time as a config writes it: "90m", "1.5h", "2d". */
export const TIME = /^(\d+(?:\.\d+)?) ?([smhd])$/;
const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 };

/** @example secondsOf("90m") // 5400 */
export function secondsOf(time: string): number {
  const [, count, unit] = TIME.exec(time) ?? [];
  return Number(count) * SECONDS[unit as keyof typeof SECONDS];
}

/** Steps of a run over `size` images; undefined where they are a matter of time that is not settled yet. */
export function totalSteps(length: Length, size: number, batch: number): number | undefined {
  if ("epochs" in length) return Math.max(1, Math.round((length.epochs * size) / batch));
  return length.steps;
}

/** A time that was settled in an earlier sitting is so many steps for good. */
export function settleAsBefore(length: Length, before: Length | undefined): void {
  if (!before || !("time" in length) || !("time" in before)) return;
  if (length.time === before.time) length.steps ??= before.steps;
}
