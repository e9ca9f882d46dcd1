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
    const sides: Side[] = [];
    for (const [side, label] of SIDES) sides.push(await prepare(side, label, size));
    // turn about, so that whatever else the machine does falls on all
    for (let number = 0; number < (tiny ? WARM_UP + 2 : 20); number++) {
      for (const side of sides) side.answers.push(await ask(side.child, { step: number }));
    }
    for (const { child } of sides) child.send({ end: true } satisfies StepOrder);
    const row = compare(name, sides[0] as Side, sides.slice(1));
    if (!tiny) writeResults(step.name, (sides[0] as Side).prepared.versions, [row]);
    return [row];
  },
};

const SIDES: [StepSide, string][] = [
  ["captured", "ours"],
  ["plain", "tfjs-node eager"],
  ["eager", "tfjs-node eager, our network"],
];

interface Side {
  label: string;
  child: ChildProcess;
  prepared: StepAnswer;
  answers: StepAnswer[];
}

function compare(name: string, ours: Side, others: Side[]): Row {
  const peers = Object.fromEntries(others.map((side) => [side.label, median(times(side))]));
  const details: Row["details"] = {
    "steps timed": times(ours).length,
    "capture and load, ms": ours.prepared.milliseconds,
  };
  for (const peer of others)
    details[`times faster than ${peer.label}`] = (peers[peer.label] as number) / median(times(ours));
  for (const side of [ours, ...others]) {
    details[`${side.label}: fastest to slowest, ms`] = spread(times(side));
    details[`${side.label}: peak memory, MB`] = side.answers.at(-1)?.peakMemoryMb as number;
  }
  for (const peer of others) {
    details[`first ${peer.answers.length} losses, largest relative difference to ${peer.label}`] = Math.max(
      ...peer.answers.map(
        ({ loss }, i) => Math.abs((ours.answers[i] as StepAnswer).loss - loss) / Math.abs(loss),
      ),
    );
  }
  return {
    name,
    dtype: "float32",
    unit: "ms",
    ours: median(times(ours)),
    peers,
    ratio: ratioOfTimes(median(times(ours)), peers),
    details,
  };
}

function times(side: Side): number[] {
  return side.answers.slice(WARM_UP).map((answer) => answer.milliseconds);
}

async function prepare(side: StepSide, label: string, size: StepSize): Promise<Side> {
  // Ours as the trainer's worker runs it. tfjs-node has none of our fused operations: without this its Adam would be ours.
  const settings = side === "captured" ? { TF_NUM_INTEROP_THREADS: "1" } : { FUNMATCH_KERNELS: "plain" };
  const env = { ...process.env, ...settings };
  const child = fork(new URL("./step-runner.ts", import.meta.url), { env });
  return { label, child, prepared: await ask(child, { prepare: side, size }), answers: [] };
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
