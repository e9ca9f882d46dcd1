import { duration } from "./words.ts";

/** What the terminal is told of one step. */
export interface StepProgress {
  /** Steps done, and steps of the whole run. */
  step: number;
  total: number;
  loss: number;
  images: number;
  waitedSeconds: number;
}

/** The terminal's view of a run. */
export interface Progress {
  step(done: StepProgress): void;
  /** A line of its own, such as an evaluation or why the teacher is waited for. */
  note(line: string): void;
  end(): void;
}

/** A terminal, or whatever stands in its place; stderr by default, so that stdout stays for results. */
export interface Screen {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

const REFRESH_MS = 200;
const PLAIN_LINE_MS = 5_000;
/** Rates are of about the last so many milliseconds, evaluations and checkpoints included: time left needs them. */
const MEMORY_MS = 10_000;

/**
 * Shows a run on the terminal: one line that is refreshed, or, where there is no terminal, a plain line every
 * few seconds: step, loss, images per second, share of time waiting for the teacher, time left.
 */
export function startProgress(
  screen: Screen = process.stderr,
  now: () => number = () => performance.now(),
): Progress {
  const tty = screen.isTTY === true;
  const every = tty ? REFRESH_MS : PLAIN_LINE_MS;
  let at = now();
  let shownAt = tty ? Number.NEGATIVE_INFINITY : at;
  let recent = { ms: 0, steps: 0, images: 0, waitedMs: 0 };
  let line = "";

  const draw = () => {
    if (!line) return;
    screen.write(tty ? `\r\x1b[2K${line.slice(0, (screen.columns ?? 100) - 1)}` : `${line}\n`);
  };

  return {
    step(done) {
      const time = now();
      recent = withStep(recent, time - at, done);
      at = time;
      line = lineOf(done, recent);
      if (time - shownAt < every && done.step < done.total) return;
      shownAt = time;
      draw();
    },
    note(text) {
      if (tty) screen.write("\r\x1b[2K");
      screen.write(`${text}\n`);
      if (tty) draw();
    },
    end() {
      if (tty && line) screen.write("\n");
      line = "";
    },
  };
}

interface Recent {
  ms: number;
  steps: number;
  images: number;
  waitedMs: number;
}

/** Sums in which what is older than the memory fades. */
function withStep(recent: Recent, ms: number, { images, waitedSeconds }: StepProgress): Recent {
  const fade = Math.exp(-ms / MEMORY_MS);
  return {
    ms: recent.ms * fade + ms,
    steps: recent.steps * fade + 1,
    images: recent.images * fade + images,
    waitedMs: recent.waitedMs * fade + waitedSeconds * 1000,
  };
}

function lineOf({ step, total, loss }: StepProgress, recent: Recent): string {
  const seconds = Math.max(recent.ms, 1e-3) / 1000;
  const percent = Math.floor((100 * step) / total);
  const waiting = Math.min(100, Math.round((100 * recent.waitedMs) / 1000 / seconds));
  return [
    `step ${step}/${total} (${percent} %)`,
    `loss ${loss.toPrecision(4)}`,
    `${rate(recent.images / seconds)} img/s`,
    `waiting for teacher ${waiting} %`,
    `${duration(((total - step) * seconds) / recent.steps)} left`,
  ].join("  ");
}

function rate(perSecond: number): string {
  return perSecond >= 100 ? String(Math.round(perSecond)) : perSecond.toPrecision(2);
}
