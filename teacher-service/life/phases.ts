/**
 * What loading a model is made of: a thread with its engine, reading the files, making them into what computes
 * (capture, compile), and computing with each batch size.
 */
export const PHASES = ["engine", "weights", "graph", "probe"] as const;
export type Phase = (typeof PHASES)[number];
export type PhaseSeconds = Record<Phase, number>;

/** Which phase a load is in, and since when. Over shared memory, since the model's thread is blocked while it loads. */
export interface Phases {
  readonly memory: SharedArrayBuffer;
  enter(phase: Phase): void;
  readonly current: Phase;
  /** Seconds in each phase so far; an ensemble goes through some of them several times. */
  seconds(): PhaseSeconds;
  /** The process's resident bytes when the files were begun with: the engine is there, of the model nothing. */
  readonly bytesBefore: number;
}

// Slots of the memory, float64 each.
const CURRENT = 0;
const SINCE = 1;
const BYTES_BEFORE = 2;
const FIRST_PHASE = 3;

/** @param memory that of the thread that began the load; without it a load begins now, with the engine */
export function openPhases(memory?: SharedArrayBuffer): Phases {
  const shared = memory ?? new SharedArrayBuffer((FIRST_PHASE + PHASES.length) * 8);
  const slots = new Float64Array(shared);
  if (!memory) slots[SINCE] = now();
  return {
    memory: shared,
    enter(phase) {
      const at = now();
      slots[FIRST_PHASE + slots[CURRENT]!]! += at - slots[SINCE]!;
      slots[SINCE] = at;
      slots[CURRENT] = PHASES.indexOf(phase);
      if (phase === "weights" && slots[BYTES_BEFORE] === 0) slots[BYTES_BEFORE] = process.memoryUsage.rss();
    },
    get current() {
      return PHASES[slots[CURRENT]!]!;
    },
    seconds: () => {
      const spent = (phase: Phase, i: number) =>
        slots[FIRST_PHASE + i]! + (phase === PHASES[slots[CURRENT]!] ? now() - slots[SINCE]! : 0);
      return Object.fromEntries(PHASES.map((phase, i) => [phase, spent(phase, i)])) as PhaseSeconds;
    },
    get bytesBefore() {
      return slots[BYTES_BEFORE]!;
    },
  };
}

/** How far a load is, and a guess at the seconds that it still takes. */
export interface Progress {
  /** 0..1 */
  readonly done: number;
  readonly secondsLeft: number;
}

/** What phases take of a load of which nothing is known. */
const USUAL: PhaseSeconds = { engine: 0.05, weights: 0.03, graph: 0.05, probe: 0.87 };
const LONGEST_GUESS = 300;

/**
 * @param probed share of the probe that is done
 * @param earlier what a load of the same model took
 */
export function progressOf(phases: Phases, probed: number, earlier?: PhaseSeconds): Progress {
  const spent = phases.seconds();
  const at = PHASES.indexOf(phases.current);
  const shares = earlier ?? USUAL;
  const whole = total(shares);
  const current = shares[phases.current];
  const within = () => {
    if (phases.current === "probe") return probed;
    const elapsed = spent[phases.current];
    return earlier ? Math.min(1, elapsed / current) : elapsed / (elapsed + 1);
  };
  const done = (total(shares, at) + (current > 0 ? current * within() : 0)) / whole;
  // A load that takes longer than the one before is told to be nearly there, not there.
  const left = earlier ? Math.max(whole * (1 - done), 0.05 * whole) : pace(total(spent), done);
  return { done: Math.min(done, 0.99), secondsLeft: Math.min(left, LONGEST_GUESS) };
}

/** By the pace so far; before anything is done, a second. */
function pace(elapsed: number, done: number): number {
  return done > 0 ? (elapsed * (1 - done)) / done : 1;
}

/** Of all phases, or of the first ones. */
export function total(seconds: PhaseSeconds, phases: number = PHASES.length): number {
  return PHASES.slice(0, phases).reduce((sum, phase) => sum + seconds[phase], 0);
}

/** Of the clock that all threads of a process share. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}
