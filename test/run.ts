/**
 * `npm test`: format and lint, types, every test; prints how long each stage took and ends with one line of counts.
 * A stage that is no test counts as one.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { addCounts, type Counts, countsOf, lastLine, type VitestReport } from "./counts.ts";

interface Stage {
  name: string;
  program: string;
  args: string[];
  /** A stage of tests writes its counts here; without it the exit status is the one result. */
  report?: string;
}

const root = join(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "funmatch-test-"));

const stages: Stage[] = [
  { name: "format and lint", program: "biome", args: ["check", "."] },
  { name: "types", program: "tsc", args: ["-p", "tsconfig.json", "--noEmit"] },
  { name: "types of the gateway", program: "tsc", args: ["-p", "edge-gateway/tsconfig.json", "--noEmit"] },
  tests("tests", "vitest.config.ts"),
  tests("tests of the gateway, in workerd", "vitest.workers.config.ts"),
  tests("tests of the gateway, under Node", "vitest.gateway-node.config.ts"),
];

function tests(name: string, config: string): Stage {
  const report = join(scratch, `${config}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  return { name, program: "vitest", args: ["run", "--config", config, ...reporters], report };
}

async function run(stage: Stage): Promise<Counts> {
  const began = performance.now();
  const path = `${join(root, "node_modules", ".bin")}${delimiter}${process.env.PATH ?? ""}`;
  const child = spawn(stage.program, stage.args, {
    cwd: root,
    env: { ...process.env, PATH: path },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const status = await new Promise<number>((done) => {
    child.on("error", () => done(127));
    child.on("close", (code) => done(code ?? 1));
  });
  const seconds = (performance.now() - began) / 1000;
  const counts = countsOf(status, stage.report === undefined ? undefined : readReport(stage.report));
  console.log(`${stage.name}: ${counts.failed === 0 ? "passed" : "FAILED"} in ${seconds.toFixed(1)} s\n`);
  return counts;
}

function readReport(path: string): VitestReport {
  if (!existsSync(path)) return { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, testResults: [] };
  return JSON.parse(readFileSync(path, "utf8")) as VitestReport;
}

let total: Counts = { passed: 0, failed: 0, skipped: 0 };
try {
  for (const stage of stages) total = addCounts(total, await run(stage));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
process.exitCode = total.failed === 0 ? 0 : 1;
console.log(lastLine(total));
