#!/usr/bin/env node
import { join, resolve } from "node:path";
import { UserError } from "@funmatch/config";
import { Command, InvalidArgumentError } from "commander";
import { readTrainConfig } from "./config.ts";

/** Errors that say all that a user needs; everything else is a bug and keeps its stack. */
const PLAIN = new Set([
  "UserError",
  "TeacherError",
  "EngineError",
  "CaptureError",
  "WireError",
  "ArrayFileError",
]);
/** Of the operating system's errors those that tell of the machine's state rather than of a bug. */
const PLAIN_CODES = new Set(["ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS", "EMFILE"]);

const program = new Command("funmatch").description(
  "Knowledge distillation as function matching, from a remote teacher",
);

program
  .command("train")
  .argument("<config>", "YAML file of the run")
  .option(
    "--set <key=value>",
    "override a key of the config, such as batch=64; may be given again",
    collected,
    [],
  )
  .option("--change-length", "let a run that has begun go on to the length that the config says now")
  .option(
    "--accept-teacher",
    "go on with another version of a teacher than the run began with; the ledger tells from which step on",
  )
  .description("train a student; an interrupted run goes on where it stopped")
  .action(
    async (path: string, options: { set: string[]; changeLength?: boolean; acceptTeacher?: boolean }) => {
      const { set, ...allowed } = options;
      const config = readTrainConfig(path, set);
      const { train } = await import("./learn/train.ts");
      await train(config, { signal: interrupt(), ...allowed });
    },
  );

program
  .command("plan")
  .argument("<config>", "YAML file of the run")
  .option("--set <key=value>", "override a key of the config; may be given again", collected, [])
  .option("--seconds <n>", "how long to measure, about", positiveNumber, 60)
  .description(
    "measure views, teacher and student, and reckon what the run takes; the run's folder is not touched",
  )
  .action(async (path: string, options: { set: string[]; seconds: number }) => {
    const config = readTrainConfig(path, options.set);
    const { planRun } = await import("./plan/plan.ts");
    const { planTable } = await import("./plan/words.ts");
    const say = (line: string) => process.stderr.write(`${line}\n`);
    const plan = await planRun(config, { seconds: options.seconds, signal: interrupt(), say });
    console.log(planTable(plan, config.batch));
  });

program
  .command("study")
  .argument("<config>", "YAML file of the study")
  .option("--plan", "say how many runs, steps and hours it is, and end")
  .option("--page", "write its page again from the files of its runs, and end")
  .description("make every run of a grid of configs and one page of all; what is there already is kept")
  .action(async (path: string, options: { plan?: boolean; page?: boolean }) => {
    const { readStudyConfig } = await import("./study/study-config.ts");
    const { openStudy, runStudy } = await import("./study/study.ts");
    const study = readStudyConfig(path);
    const signal = interrupt();
    if (options.plan) {
      const { planStudy } = await import("./study/study-plan.ts");
      const { cells, parallel } = openStudy(study);
      const say = (line: string) => process.stderr.write(`${line}\n`);
      const lines = await planStudy(study, cells, { parallel, seconds: 20, signal, say });
      for (const line of lines) console.log(line);
      return;
    }
    if (options.page) {
      const { writeStudyPage } = await import("./study/study-page.ts");
      console.log(await writeStudyPage(study, openStudy(study).cells));
      return;
    }
    const { page, failed, interrupted } = await runStudy(study, { signal });
    console.log(page);
    if (interrupted) process.stderr.write("interrupted; the same command goes on from there\n");
    process.exitCode = failed > 0 ? 1 : 0;
  });

program
  .command("eval")
  .argument("<run>", "folder of a run")
  .option(
    "--checkpoint <which>",
    "best, or the step of a kept checkpoint; its figures alone",
    whichCheckpoint,
  )
  .option(
    "--split <name>",
    "only this split; its figures alone; may be given again",
    (split: string, before: string[] = []) => [...before, split],
  )
  .description("evaluate the newest checkpoint again and write predictions, summary and report anew")
  .action(async (run: string, options: { checkpoint?: "best" | number; split?: string[] }) => {
    const { evaluateRun } = await import("./learn/evaluate-run.ts");
    const { checkpoint, split: splits } = options;
    const found = await evaluateRun(resolve(run), { checkpoint, splits, signal: interrupt() });
    if (found) console.log(JSON.stringify(found, null, 2));
  });

program
  .command("report")
  .argument("<run>", "folder of a run")
  .description("write report.html again from the files of the run")
  .action(async (run: string) => {
    const { writeReport } = await import("./report/report.ts");
    console.log(await writeReport(resolve(run)));
  });

program
  .command("audit")
  .argument("<run>", "folder of a run")
  .option("--sample <n>", "steps to make again and to ask the teacher about again, or all", sampleSize, 8)
  .description("prove what a run was taught from: ledger, bytes, teacher, parameters")
  .action(async (run: string, options: { sample: number }) => {
    const { auditRun } = await import("./audit/audit.ts");
    const { auditTable } = await import("./audit/table.ts");
    const say = (line: string) => process.stderr.write(`${line}\n`);
    const audit = await auditRun(resolve(run), { ...options, signal: interrupt(), say });
    console.log(auditTable(audit));
    process.exitCode = audit.passed ? 0 : 1;
  });

program
  .command("export")
  .argument("<run>", "folder of a run")
  .option("--out <folder>", "where to write; by default export/ in the run's folder")
  .option(
    "--checkpoint <which>",
    "best, or the step of a kept checkpoint; absent: the newest",
    whichCheckpoint,
  )
  .description("write the student as weights, SavedModel, tfjs graph model and as a teacher to serve")
  .action(async (run: string, options: { out?: string; checkpoint?: "best" | number }) => {
    const { exportRun } = await import("./export/export-run.ts");
    const out = resolve(options.out ?? join(run, "export"));
    const say = (line: string) => process.stderr.write(`${line}\n`);
    const { step, files } = await exportRun(resolve(run), { ...options, out, say });
    console.log(`the student after step ${step}`);
    for (const [path, what] of files) console.log(`${path}  ${what}`);
  });

program
  .command("doctor")
  .argument("[config]", "YAML file of a run")
  .option("--set <key=value>", "override a key of the config; may be given again", collected, [])
  .description(
    "check engine, data, teacher, disk and memory, and say what to mend; exit code 1 if something fails",
  )
  .action(async (path: string | undefined, { set: sets }: { set: string[] }) => {
    const { examineAll } = await import("./doctor/doctor.ts");
    const { findingLines } = await import("./doctor/finding.ts");
    const tell = (finding: Parameters<typeof findingLines>[0]) => console.log(findingLines(finding));
    const healthy = await examineAll(path === undefined ? undefined : { path, sets }, tell);
    process.exitCode = healthy ? 0 : 1;
  });

const engine = program.command("engine").description("the TensorFlow engine under the trainer");

engine
  .command("install")
  .option("--cuda", "with NVIDIA's libraries, for a GPU")
  .option("--portable", "fused operations for levels of CPUs, not for this one: for an image that others run")
  .description("download TensorFlow and compile the binding into the user's cache")
  .action(async (options: { cuda?: boolean; portable?: boolean }) => {
    const { installEngine } = await import("@funmatch/engine/install");
    await installEngine(options);
  });

engine
  .command("info")
  .description("versions, device, CPU features and place of the engine")
  .action(async () => {
    const { engineInfo } = await import("@funmatch/engine");
    for (const [key, value] of Object.entries(await engineInfo())) console.log(`${key.padEnd(12)} ${value}`);
  });

function collected(value: string, before: string[]): string[] {
  return [...before, value];
}

function positiveNumber(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text) || Number(text) === 0)
    throw new InvalidArgumentError("expected a number above 0");
  return Number(text);
}

function sampleSize(text: string): number {
  if (text === "all") return Number.POSITIVE_INFINITY;
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("expected a number from 1, or all");
  return Number(text);
}

function whichCheckpoint(text: string): "best" | number {
  if (text === "best") return text;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("expected best, or a step such as 2000");
}

/** SIGINT and SIGTERM end a run after the step it is in; a second one ends the process at once. */
function interrupt(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const)
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort(new UserError("interrupted"));
    });
  return controller.signal;
}

// Whoever reads has had enough, as head has.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

try {
  await program.parseAsync();
} catch (error) {
  const plain =
    error instanceof Error &&
    (PLAIN.has(error.name) || PLAIN_CODES.has((error as NodeJS.ErrnoException).code ?? ""));
  console.error(plain ? `funmatch: ${error.message}` : error);
  process.exitCode = plain ? 2 : 1;
}
