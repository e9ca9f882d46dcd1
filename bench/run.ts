/** `npm run bench`: every benchmark; `npm run bench -- step`: the named ones; `--tiny`: see that they run. */
import type { Benchmark } from "./benchmark.ts";
import { fairness } from "./fairness.ts";
import { gateway } from "./gateway.ts";
import { serve } from "./serve.ts";
import { step } from "./step.ts";
import { table } from "./table.ts";

const BENCHMARKS: Benchmark[] = [step, serve, fairness, gateway];

const args = process.argv.slice(2);
const names = args.filter((arg) => arg !== "--tiny");
const unknown = names.filter((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name));
if (unknown.length > 0) {
  console.error(`there is no benchmark ${unknown.join(", ")}; there are:`);
  for (const { name, what } of BENCHMARKS) console.error(`  ${name.padEnd(10)} ${what}`);
  process.exitCode = 2;
} else {
  for (const benchmark of BENCHMARKS.filter(({ name }) => names.length === 0 || names.includes(name))) {
    console.log(`${benchmark.name}: ${benchmark.what}`);
    console.log(`${table(await benchmark.run({ tiny: args.includes("--tiny") }))}\n`);
  }
}
