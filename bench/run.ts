/**
 * `npm run bench`: every benchmark, after it has said which these are; `npm run bench -- step`: the named ones;
 * `--tiny`: see that they run; `--row NAME`: only that part of a long one.
 */
import { parseArgs } from "node:util";
import type { Benchmark } from "./benchmark.ts";
import { fairness } from "./fairness.ts";
import { forward } from "./forward.ts";
import { gateway } from "./gateway.ts";
import { pipeline } from "./pipeline.ts";
import { scale } from "./scale.ts";
import { serve } from "./serve.ts";
import { step } from "./step.ts";
import { table } from "./table.ts";
import { views } from "./views.ts";

const BENCHMARKS: Benchmark[] = [step, forward, views, serve, fairness, gateway, pipeline, scale];

const { values, positionals: names } = parseArgs({
  allowPositionals: true,
  options: { tiny: { type: "boolean", default: false }, row: { type: "string" } },
});
const { tiny, row } = values;
const unknown = names.filter((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name));
if (unknown.length > 0) {
  console.error(`there is no benchmark ${unknown.join(", ")}; there are:`);
  for (const benchmark of BENCHMARKS) console.error(inWords(benchmark, false));
  process.exitCode = 2;
} else {
  if (names.length === 0) {
    console.log("one after another (npm run bench -- NAME runs one of them):");
    for (const benchmark of BENCHMARKS) console.log(inWords(benchmark, tiny));
    console.log();
  }
  for (const benchmark of BENCHMARKS.filter(({ name }) => names.length === 0 || names.includes(name))) {
    console.log(`${benchmark.name}: ${benchmark.what}`);
    console.log(`${table(await benchmark.run({ tiny, row }))}\n`);
  }
}

function inWords({ name, what, needs }: Benchmark, tiny: boolean): string {
  const after = needs === undefined || tiny ? "" : `\n  ${"".padEnd(10)} ${needs}`;
  return `  ${name.padEnd(10)} ${what}${after}`;
}
