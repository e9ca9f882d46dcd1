/**
 * `npm run bench`: every benchmark, after it has said which these are; `npm run bench -- step`: the named ones;
 * `--tiny`: see that they run.
 */
import type { Benchmark } from "./benchmark.ts";
import { fairness } from "./fairness.ts";
import { forward } from "./forward.ts";
import { gateway } from "./gateway.ts";
import { serve } from "./serve.ts";
import { step } from "./step.ts";
import { table } from "./table.ts";

const BENCHMARKS: Benchmark[] = [step, forward, serve, fairness, gateway];

const args = process.argv.slice(2);
const names = args.filter((arg) => arg !== "--tiny");
const unknown = names.filter((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name));
if (unknown.length > 0) {
  console.error(`there is no benchmark ${unknown.join(", ")}; there are:`);
  for (const benchmark of BENCHMARKS) console.error(inWords(benchmark, false));
  process.exitCode = 2;
} else {
  const tiny = args.includes("--tiny");
  if (names.length === 0) {
    console.log("one after another (npm run bench -- NAME runs one of them):");
    for (const benchmark of BENCHMARKS) console.log(inWords(benchmark, tiny));
    console.log();
  }
  for (const benchmark of BENCHMARKS.filter(({ name }) => names.length === 0 || names.includes(name))) {
    console.log(`${benchmark.name}: ${benchmark.what}`);
    console.log(`${table(await benchmark.run({ tiny }))}\n`);
  }
}

function inWords({ name, what, needs }: Benchmark, tiny: boolean): string {
  const after = needs === undefined || tiny ? "" : `\n  ${"".padEnd(10)} ${needs}`;
  return `  ${name.padEnd(10)} ${what}${after}`;
}
