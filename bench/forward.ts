import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { type Benchmark, type Row, writeResults } from "./benchmark.ts";
import { type Environment, openEnvironment } from "./environment.ts";
import { compare, type Plan } from "./forward/compare.ts";
import { isHere, makeNetwork } from "./forward/networks.ts";
import { openPeers } from "./peers.ts";
import { LIGHT } from "./serve.ts";

const BATCHES = [1, 4, 16, 32, 64, 128];

/** Each in the ways that are said to be quick on a CPU; the quickest at one of the trial's sizes go on. */
const CONFIGURATIONS = [
  "onnxruntime",
  "onnxruntime sleeping",
  "torch",
  "torch channels_last",
  "torch channels_last kept",
  "torch compile",
  "torch compile channels_last",
  "torch compile channels_last freezing",
  "torch compile channels_last freezing kept",
  "torch compile max-autotune channels_last freezing",
];

const whole = { batches: BATCHES, configurations: CONFIGURATIONS, trial: [4, 32], seconds: 1, rounds: 5 };
const PLANS: Plan[] = [
  { network: "BiT-R50, 128 px", ...whole },
  { network: "EfficientNet-lite0, 160 px", ...whole },
  { network: "bundled BiT teacher, 64 px", ...whole },
];
const TINY: Plan = {
  network: "tiny",
  batches: [1, 4],
  configurations: ["onnxruntime", "onnxruntime sleeping"],
  trial: [4],
  seconds: 0.1,
  rounds: 2,
};

export const forward: Benchmark = {
  name: "forward",
  what: "a forward pass of a teacher, from bytes to logits, against PyTorch and ONNX Runtime at batch 1 to 128",
  needs:
    "the first time it installs 8 GB of Python packages (PyTorch, JAX, TensorFlow) into the user's cache",
  async run({ tiny }) {
    const environment = tiny ? await openLight() : await openPeers("forward");
    const rows: Row[] = [];
    for (const plan of tiny ? [TINY] : PLANS) {
      if (!isHere(plan.network)) {
        console.log(`  skipped: the weights of ${plan.network} are not in ../shared/data`);
        continue;
      }
      rows.push(...(await inItsFolder(plan, environment)));
      // After each network: whoever ends it early has what there is.
      if (!tiny) writeResults(forward.name, { node: process.versions.node, ...environment.versions }, rows);
    }
    return rows;
  },
};

/** ONNX Runtime alone, from the environment of a smoke run of `bench/serve`. */
function openLight(): Promise<Environment> {
  const scripts = join(import.meta.dirname, "forward");
  return openEnvironment({ name: "serve", packages: LIGHT, scripts });
}

async function inItsFolder(plan: Plan, environment: Environment): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "funmatch-bench-forward-"));
  try {
    const network = await makeNetwork(plan.network, folder, Math.max(...plan.batches), environment);
    return await compare(plan, network, { environment, threads: availableParallelism() });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
