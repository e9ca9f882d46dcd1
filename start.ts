/**
 * `npm start`: the whole product on one machine. A teacher service and the gateway in front of it start on
 * loopback, a student is distilled from the teacher through them, and what came of it is printed.
 *
 * usage: npm start [-- --set key=value …]     overrides keys of recipes/start/student.yaml
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { UserError } from "@funmatch/config";
import { readTrainConfig } from "funmatch/config";
import type { Summary } from "funmatch/summary";
import { train } from "funmatch/train";
import { startGateway } from "funmatch-gateway/dev";
import { startTeacherService } from "funmatch-teacher/dev";

const recipe = (name: string) => join(import.meta.dirname, "recipes/start", name);
const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"])
  process.once(name, () => interrupted.abort(new UserError("interrupted")));

await using running = new AsyncDisposableStack();
try {
  const config = readTrainConfig(recipe("student.yaml"), overrides());
  const secret = randomBytes(32).toString("hex");
  console.log("1/4  teacher service");
  const teacher = await startTeacherService(recipe("teacher.yaml"), {
    env: { FUNMATCH_START_SECRET: secret },
  });
  running.defer(async () => void (await teacher.close()));
  console.log(`     listens on ${teacher.url}, reached by the gateway alone`);

  console.log("2/4  gateway (wrangler dev, the real Workers runtime)");
  const gateway = await startGateway({ teacherUrl: teacher.url, secret });
  running.defer(() => gateway.close());
  const { key } = await gateway.createKey("start", ["train", "eval"], ["fashion"]);
  console.log(`     listens on ${gateway.url}; a key for team "start" made`);

  process.env.FUNMATCH_START_KEY = key;
  for (const teacher of config.teachers)
    if ("url" in teacher) teacher.url = `${gateway.url}/v1/models/fashion`;
  console.log(`3/4  student: ${config.design}, in ${config.run}`);
  const summary = await train(config, { signal: interrupted.signal });
  if (summary) console.log(`4/4  result\n\n${table(summary)}`);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`npm start: ${error.message}`);
  process.exitCode = 2;
}

/** The pairs after `--set`. */
function overrides(): string[] {
  try {
    return parseArgs({ options: { set: { type: "string", multiple: true } } }).values.set ?? [];
  } catch (error) {
    throw new UserError((error as Error).message);
  }
}

/** Teacher and student side by side. */
function table({ teacher, student, agreement, kl, ...run }: Summary): string {
  const percent = (share?: number) => (share === undefined ? "" : `${(100 * share).toFixed(2)} %`);
  const millions = (count = 0) => `${(count / 1e6).toFixed(2)} M`;
  const rows = [
    ["", "teacher", "student"],
    ["parameters", millions(teacher?.parameters), millions(student.parameters)],
    ["test accuracy", percent(teacher?.accuracy.test), percent(student.accuracy.test)],
    ["agreement on test", "", percent(agreement.test)],
    ["KL on test", "", kl.test?.toFixed(4) ?? ""],
    ["images a second", "", run.imagesPerSecond.toFixed(0)],
    ["verified steps", "", `${run.verifiedSteps} of ${run.steps}`],
    ["cache hits", "", `${run.cache.hits} of ${run.cache.hits + run.cache.misses} evaluation calls`],
  ];
  return rows.map(([name, left, right]) => `${name!.padEnd(20)}${left!.padStart(12)}  ${right}`).join("\n");
}
