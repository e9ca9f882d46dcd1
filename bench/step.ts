import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { type Benchmark, type Row, writeResults } from "./benchmark.ts";
import type { Environment } from "./environment.ts";
import { openPeers } from "./peers.ts";
import { openJemalloc } from "./step/jemalloc.ts";
import type { OurWay, StepAnswer } from "./step/ours.ts";
import { earlierRows } from "./step/results.ts";
import { rowOf, WARM_UP } from "./step/row.ts";
import { type Side, startOurs, startPeer } from "./step/sides.ts";
import { SIZES, type StepSize, type StepTask, TINY_SIZES, writeTask } from "./step/task.ts";
import { type Tried, tryAll } from "./step/trial.ts";

/** A library goes on to the long rounds if its best trial took at most so many times the best of all. */
const IN_SIGHT = 3;

interface Peers {
  environment: Environment;
  jemalloc: string;
}

export const step: Benchmark = {
  name: "step",
  what: "a training step (forward, distance, gradients, clip, Adam, decay) beside PyTorch, JAX and tfjs-node",
  needs: `the first time it installs 8 GB of Python packages into the user's cache; --row NAME measures one of ${SIZES.map(({ key }) => key).join(", ")}`,
  async run({ tiny, row }) {
    const sizes = (tiny ? TINY_SIZES : SIZES).filter(({ key }) => row === undefined || key === row);
    if (sizes.length === 0)
      throw new Error(
        `there is no row ${row}; there are: ${(tiny ? TINY_SIZES : SIZES).map(({ key }) => key).join(", ")}`,
      );
    const peers = tiny ? undefined : { environment: await openPeers("step"), jemalloc: await openJemalloc() };
    const folder = mkdtempSync(join(tmpdir(), "funmatch-bench-step-"));
    const rows: Row[] = [];
    try {
      for (const size of sizes) {
        const { found, versions } = await bothComputes(size, folder, peers);
        rows.push(...found);
        // After each network: whoever ends it early has what there is.
        if (peers)
          writeResults(step.name, { ...versions, ...peers.environment.versions }, [
            ...earlierRows(rows),
            ...rows,
          ]);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
    return rows;
  },
};

/** The rows of float32 and of bfloat16. */
async function bothComputes(
  size: StepSize,
  folder: string,
  peers: Peers | undefined,
): Promise<{ found: Row[]; versions: Record<string, string> }> {
  const steps = peers ? 20 : WARM_UP + 2;
  const task = await writeTask(size, steps, folder);
  const found: Row[] = [];
  let reference: StepAnswer[] | undefined;
  let versions = {};
  for (const dtype of ["float32", "bfloat16"] as const) {
    const { sides, tried } = await takeTurns({ ...task, dtype }, steps, peers);
    reference ??= sides[0]!.answers;
    versions = sides[0]!.prepared.versions!;
    found.push(rowOf({ ...task, dtype }, sides, tried, reference));
  }
  const [float32, bfloat16] = found as [Row, Row];
  bfloat16.details["ours: times faster than in float32"] = float32.ours / bfloat16.ours;
  return { found, versions };
}

/** All sides of a row, ours first, after they have taken all steps. */
async function takeTurns(
  task: StepTask,
  steps: number,
  peers: Peers | undefined,
): Promise<{ sides: Side[]; tried: Tried[] }> {
  const threads = availableParallelism();
  const tried: Tried[] = [];
  const best: Tried[] = [];
  if (peers) {
    for (const library of ["PyTorch", "JAX"] as const) {
      const all = await tryAll(library, task, threads, peers);
      tried.push(...all);
      best.push(all[0]!);
    }
  }
  const fastest = Math.min(...best.map(({ milliseconds }) => milliseconds));
  const [ours, ...others] = ourWays(task, peers === undefined);
  const sides = [await startOurs(...ours, task, threads)];
  try {
    const starting = others.map((way) => startOurs(...way, task, threads));
    for (const { configuration, milliseconds } of best)
      if (milliseconds <= IN_SIGHT * fastest) starting.push(startPeer(configuration, task, peers!));
    for (const side of starting) sides.push(await side);
    // Turn about, so that whatever else the machine does falls on all.
    for (let number = 0; number < steps; number++) for (const side of sides) await side.step(number);
  } finally {
    for (const side of sides) await side.stop();
  }
  return { sides, tried };
}

/**
 * The sides under Node, each with its label. tfjs-node's own way takes the float32 step of the first size alone: it is
 * several times slower there, and has no bfloat16.
 */
function ourWays({ key, dtype, model }: StepTask, tiny: boolean): [Way, ...Way[]] {
  const isFirst = (tiny ? TINY_SIZES : SIZES)[0]!.key === key && dtype === "float32";
  const others: Way[] = [];
  if (model.kind === "bit" && isFirst) others.push(["plain", "tfjs-node eager"]);
  if (tiny || isFirst) others.push(["eager", "tfjs-node eager, our network"]);
  return [["captured", "ours"], ...others];
}

type Way = [OurWay, string];
