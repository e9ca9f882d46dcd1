import { parseArgs } from "node:util";
import { UserError } from "@funmatch/config";
import { EngineError, loadEngine } from "@funmatch/engine";
import { ArrayFileError } from "@funmatch/models";
import { bitForwardRow } from "./bit.ts";
import { type Check, failed, isInside, type Row } from "./check.ts";
import { distancesRow } from "./distances.ts";
import { openGolden } from "./golden.ts";
import { inceptionCropRow } from "./inception-crop.ts";
import { schedulesRow } from "./schedules.ts";
import { trajectoryRow } from "./trajectory.ts";
import { mixupRow, preprocessRow } from "./views.ts";

const ROWS = {
  bit_forward: bitForwardRow,
  distances: distancesRow,
  schedules: schedulesRow,
  trajectory: trajectoryRow,
  preprocess: preprocessRow,
  mixup: mixupRow,
  inception_crop: inceptionCropRow,
};

/**
 * Recomputes the golden vectors of a directory with this project's own code.
 *
 * @returns whether everything is inside its tolerance
 * @throws UserError when the directory is not one of golden vectors
 */
export async function parity(directory: string, print: (line: string) => void): Promise<boolean> {
  const golden = await openGolden(directory);
  await loadEngine();
  print(line("row / check", "max abs", "max rel", "tolerance", ""));
  let isGood = true;
  for (const [name, compute] of Object.entries(ROWS)) {
    const row = await compute(golden).catch(
      (error: Error): Row => ({ name, checks: [failed("not compared", error.message)] }),
    );
    const isRowInside = row.checks.length > 0 && row.checks.every(isInside);
    isGood &&= isRowInside;
    print(
      line(
        name,
        figure(Math.max(...row.checks.map((check) => check.absolute))),
        figure(Math.max(...row.checks.map((check) => check.relative))),
        "",
        isRowInside ? (row.checks.some((check) => check.nudged) ? "nudged" : "ok") : "FAIL",
      ),
    );
    for (const check of row.checks) print(checkLine(check));
  }
  return isGood;
}

function checkLine(check: Check): string {
  const passed = check.nudged ? "nudged: plain run outside" : "ok";
  const verdict = isInside(check) ? passed : "FAIL";
  const note = check.note ? `${verdict}  ${check.note}` : verdict;
  return line(`  ${check.what}`, figure(check.absolute), figure(check.relative), check.allowed, note);
}

function figure(x: number): string {
  return x === 0 ? "0" : x.toExponential(1);
}

function line(name: string, absolute: string, relative: string, tolerance: string, verdict: string): string {
  return `${name.padEnd(40)} ${absolute.padStart(8)} ${relative.padStart(8)}  ${tolerance.padEnd(22)} ${verdict}`.trimEnd();
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { golden: { type: "string" } }, strict: true });
  if (!values.golden) throw new UserError("say which golden vectors: npm run parity -- --golden DIR");
  const isGood = await parity(values.golden, (text) => console.log(text));
  console.log(
    isGood
      ? 'every row is inside its tolerance; where one says "nudged", the plain run is not'
      : "FAIL: at least one row is outside its tolerance",
  );
  if (!isGood) process.exitCode = 1;
}

if (import.meta.main)
  await main().catch((error: Error & { code?: string }) => {
    const isPlain =
      [UserError, EngineError, ArrayFileError].some((kind) => error instanceof kind) ||
      error.code?.startsWith("ERR_PARSE_ARGS");
    console.error(isPlain ? error.message : error);
    process.exitCode = 1;
  });
