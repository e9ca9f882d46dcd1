import type { Screen } from "../report/progress.ts";
import { duration } from "../report/words.ts";
import type { CellAnswer } from "./run-cell.ts";

/** The terminal's one view of all runs of a study. */
export interface StudyProgress {
  /** A run that was there before. */
  found(name: string): void;
  begun(name: string): void;
  /** How far a run is, from 0 to 1. */
  step(name: string, share: number): void;
  ended(name: string, answer: CellAnswer): void;
  end(): void;
}

const REFRESH_MS = 500;
const PLAIN_LINE_MS = 15_000;

/** Shows how many runs are done, which are being made and how far they are: one refreshed line, or plain ones. */
export function startStudyProgress(
  total: number,
  screen: Screen = process.stderr,
  now: () => number = () => performance.now(),
): StudyProgress {
  const tty = screen.isTTY === true;
  const began = now();
  const running = new Map<string, number>();
  let [found, done, failed] = [0, 0, 0];
  let shownAt = Number.NEGATIVE_INFINITY;
  let shown = false;

  const line = () => {
    const parts = [...running].map(([name, share]) => `${name} ${Math.floor(100 * share)} %`);
    const all = [...running.values()].reduce((sum, share) => sum + share, done);
    const left = total - found - failed - all;
    const seconds = (now() - began) / 1000;
    const time = all >= 0.2 && left > 0 ? `, about ${duration((seconds * left) / all)} left` : "";
    const bad = failed > 0 ? `, ${failed} failed` : "";
    return `${found + done} of ${total} runs done${bad}${time}  ${parts.join("  ")}`;
  };
  const draw = () => {
    const at = now();
    if (at - shownAt < (tty ? REFRESH_MS : PLAIN_LINE_MS)) return;
    shownAt = at;
    shown = true;
    screen.write(tty ? `\r\x1b[2K${line().slice(0, (screen.columns ?? 100) - 1)}` : `${line()}\n`);
  };
  const note = (text: string) => {
    screen.write(`${tty && shown ? "\r\x1b[2K" : ""}${text}\n`);
    shownAt = Number.NEGATIVE_INFINITY;
  };
  return {
    found: () => void found++,
    begun(name) {
      running.set(name, 0);
      draw();
    },
    step(name, share) {
      running.set(name, share);
      draw();
    },
    ended(name, answer) {
      running.delete(name);
      if (answer.end === "done") done++;
      if (answer.end === "failed") {
        failed++;
        note(`${name} failed: ${answer.why}`);
      }
      draw();
    },
    end() {
      shownAt = Number.NEGATIVE_INFINITY;
      draw();
      if (tty) screen.write("\n");
    },
  };
}
