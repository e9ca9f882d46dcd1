import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { bitBlocks } from "@funmatch/models";
import { type Benchmark, median, type Row, ratioOfTimes, writeResults } from "./benchmark.ts";
import type { StepAnswer, StepOrder, StepSide, StepSize } from "./step-runner.ts";

const R50: StepSize = { blocks: bitBlocks(50), width: 1, classes: 1000, batch: 16, resolution: 128 };
const TINY: StepSize = { blocks: [1, 1, 1, 1], width: 0.5, classes: 10, batch: 2, resolution: 32 };

/** The first steps pay for allocation and are not timed; all losses are compared. */
const WARM_UP = 3;

export const step: Benchmark = {
  name: "step",
  what: "a training step (forward, distance, gradients, clip, Adam, decay), captured and by tfjs-node eager",
  async run({ tiny }) {
    const size = tiny ? TINY : R50;
    const name = tiny ? "BiT tiny, 32 px, batch 2" : "BiT-R50, 128 px, batch 16, 1000 classes";
    const ours = await prepare("captured", size);
    const eager = await prepare("eager", size);
    const turns: [StepAnswer, StepAnswer][] = [];
    // turn about, so that whatever else the machine does falls on both
    for (let number = 0; number < (tiny ? WARM_UP + 2 : 20); number++) {
      turns.push([await ask(ours.child, { step: number }), await ask(eager.child, { step: number })]);
    }
    for (const { child } of [ours, eager]) child.send({ end: true } satisfies StepOrder);
    const row = compare(name, turns, ours.answer.milliseconds);
    if (!tiny) writeResults(step.name, ours.answer.versions, [row]);
    return [row];
  },
};

function compare(name: string, turns: [StepAnswer, StepAnswer][], captureMilliseconds: number): Row {
  const timed = turns.slice(WARM_UP);
  const ours = timed.map(([answer]) => answer.milliseconds);
  const eager = timed.map(([, answer]) => answer.milliseconds);
  const peers = { "tfjs-node eager": median(eager) };
  const [lastOurs, lastEager] = turns.at(-1) as [StepAnswer, StepAnswer];
  return {
    name,
    dtype: "float32",
    unit: "ms",
    ours: median(ours),
    peers,
    ratio: ratioOfTimes(median(ours), peers),
    details: {
      "steps timed": timed.length,
      "ours, fastest and slowest (ms)": spread(ours),
      "eager, fastest and slowest (ms)": spread(eager),
      "capture and load (ms)": captureMilliseconds,
      "peak memory, ours (MB)": lastOurs.peakMemoryMb,
      "peak memory, eager (MB)": lastEager.peakMemoryMb,
      "largest relative difference of a loss": Math.max(
        ...turns.map(([a, b]) => Math.abs(a.loss - b.loss) / Math.abs(b.loss)),
      ),
      "losses compared": turns.length,
    },
  };
}

async function prepare(side: StepSide, size: StepSize): Promise<{ child: ChildProcess; answer: StepAnswer }> {
  const child = fork(new URL("./step-runner.ts", import.meta.url));
  return { child, answer: await ask(child, { prepare: side, size }) };
}

async function ask(child: ChildProcess, order: StepOrder): Promise<StepAnswer> {
  child.send(order);
  const ended = new AbortController();
  const death = once(child, "exit", { signal: ended.signal }).then(([status]) => {
    throw new Error(`a side of the benchmark ended with status ${status}`);
  });
  death.catch(() => {});
  try {
    const [answer] = (await Promise.race([once(child, "message", { signal: ended.signal }), death])) as [
      StepAnswer,
    ];
    return answer;
  } finally {
    ended.abort();
  }
}

function spread(values: number[]): string {
  return `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`;
}
